"""History: many runs as one table, a cell followed from run to run, and questions in SQL."""
