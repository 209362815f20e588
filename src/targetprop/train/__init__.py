"""Training: optimisers, schedule, the compiled program, checkpoints, logs."""
