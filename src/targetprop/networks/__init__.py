"""Layers, networks, initializers and architectures."""
