"""The version, read by the build and written beside every result."""

__version__ = "0.2.0"
