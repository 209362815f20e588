"""*Gradient target propagation* (Farias and Maziero 2018)."""
