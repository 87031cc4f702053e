"""The version of the distribution."""

from __future__ import annotations

__all__ = ["__version__", "version"]

__version__ = "0.1.0"


def version() -> str:
    """Return the version of nngraph as a string.

    >>> version() == __version__
    True
    """
    return __version__
