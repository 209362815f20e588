"""What users run: comparisons, searches, benchmarks, and the engine that reproduces published results."""
