"""The thesis on target propagation (Meulemans 2019)."""
