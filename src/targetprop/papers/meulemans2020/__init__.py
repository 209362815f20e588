"""*A Theoretical Framework for Target Propagation* (Meulemans et al. 2020)."""
