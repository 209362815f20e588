"""Training: optimizers, schedule, the compiled program, checkpoints, logs."""
