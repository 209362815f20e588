"""Files that are written completely or not at all."""

from .._files import whole_file, write_whole

__all__ = ["whole_file", "write_whole"]
