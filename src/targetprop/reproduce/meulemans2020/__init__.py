"""Items of *A Theoretical Framework for Target Propagation* (Meulemans et al. 2020) that are more than test errors."""
