"""Knowledge distillation of live torch modules, and fine-tuning as its control."""

HARNESS_API = 1
