"""Export: records and samples as flat tables, and measurements as pyperf benchmarks."""
