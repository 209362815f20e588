"""Feedback mappings and the losses that train them."""
