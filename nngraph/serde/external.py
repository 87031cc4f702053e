"""Where the external data of a model may lie: inside the model's folder, nowhere else.

A model file names files with its weights, and the file may come from anybody. Three things keep it from reading what is
none of its business: the name is a plain relative path, the file it leads to lies inside the folder once all symbolic
links are followed, and it is opened without following any link, so that nobody can put one there in between.

The caches of model hubs keep every file as a link into one folder of blobs. Such a link is accepted when the model
itself is a link into the same folder: whoever wrote the model there wrote the data beside it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

__all__ = ["check_location", "external_file", "open_external"]

_LONGEST = 4096
"""No file system takes a longer path."""

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NON_BLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def external_file(folder: Path, location: str, *, model: Path | None = None) -> Path:
    """Return the real file of external data at ``location``, which is relative to the model's folder.

    Args:
        folder: the model's folder.
        location: the file's name as the model gives it.
        model: the model's own file, where it has one; see the module's text about links.

    Raises:
        ValueError: the location is no plain relative path, leads out of the folder, or is no regular file of its own.
        FileNotFoundError: there is no such file.
    """
    root, inside = _resolve(folder, location, model)
    with _open_inside(root, inside, location):
        return root / inside


def open_external(folder: Path, location: str, *, model: Path | None = None) -> BinaryIO:
    """Open the file of external data at ``location`` to be read; see :func:`external_file`.

    Example:
        >>> open_external(Path("."), "../secret.bin")
        Traceback (most recent call last):
        ValueError: external data '../secret.bin' leads out of the model's folder; the data must lie beside the model
    """
    return _open_inside(*_resolve(folder, location, model), location)


def _resolve(folder: Path, location: str, model: Path | None) -> tuple[Path, PurePosixPath]:
    """Return a real folder and the path of the file inside it, free of links."""
    parts = check_location(location)
    root = folder.resolve()
    if model is not None and model.is_symlink() and not os.path.lexists(root.joinpath(*parts)):
        root = model.resolve().parent  # the link stands alone; the data lies where the model really is
    try:
        real = root.joinpath(*parts).resolve()
    except (OSError, RuntimeError):  # Python 3.11 and 3.12 have the one, 3.13 the other
        raise ValueError(f"external data {location!r} is a symbolic link in a circle, or has too long a name") from None
    if real.is_relative_to(root):
        return root, PurePosixPath(*real.relative_to(root).parts)
    if model is not None and model.is_symlink() and real.parent == model.resolve().parent:
        return real.parent, PurePosixPath(real.name)
    raise _outside(location, " through a symbolic link")


def check_location(location: str) -> tuple[str, ...]:
    """Return the parts of a location.

    Raises:
        ValueError: it is no plain relative path.
    """
    if not location:
        raise ValueError("external data has no location; it must name a file beside the model")
    if len(location) > _LONGEST:
        raise ValueError(f"external data has a location of {len(location)} characters; {_LONGEST} are allowed")
    if any(ord(c) < 32 or ord(c) == 127 for c in location):
        raise ValueError(f"external data {location!r} has control characters in its location; rename the file")
    if "\\" in location or ":" in location:
        raise ValueError(
            f"external data {location!r} has a backslash or colon in its location, which some systems read as another "
            "folder or drive; rename the file and use / between folders"
        )
    parts = PurePosixPath(location).parts
    # Windows drops spaces and dots at the end of a name, so that ".. " is "..".
    if location.startswith("/") or any(not part.strip(". ") for part in parts) or not parts:
        raise _outside(location)
    return parts


def _outside(location: str, how: str = "") -> ValueError:
    return ValueError(
        f"external data {location!r} leads out of the model's folder{how}; the data must lie beside the model"
    )


def _open_inside(root: Path, inside: PurePosixPath, location: str) -> BinaryIO:
    """Open a regular file without following links below ``root``."""
    try:
        handle = _walk(root, inside)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the model's external data file {location!r} does not exist in {str(root)!r}; put it beside the model"
        ) from None
    except OSError as error:
        raise ValueError(f"external data {location!r} cannot be opened: {error.strerror}") from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"external data {location!r} is a folder, pipe or device; it must be a file")
        if found.st_nlink > 1:
            raise ValueError(
                f"external data {location!r} is one of {found.st_nlink} hard links to a file, which may be any file; "
                "copy it to a file of its own"
            )
    except ValueError:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def _walk(root: Path, inside: PurePosixPath) -> int:
    """Return a handle of the file, opened folder by folder; no part may be a link."""
    flags = os.O_RDONLY | _NO_FOLLOW | _NON_BLOCK | _BINARY
    if os.open not in os.supports_dir_fd:
        return os.open(root / inside, flags)
    place = os.open(root, os.O_RDONLY | _DIRECTORY)
    try:
        for part in inside.parts[:-1]:
            deeper = os.open(part, os.O_RDONLY | _DIRECTORY | _NO_FOLLOW, dir_fd=place)
            os.close(place)
            place = deeper
        if not stat.S_ISREG(os.stat(inside.name, dir_fd=place, follow_symlinks=False).st_mode):
            raise OSError(0, "it is no regular file")  # a device may act when it is opened
        return os.open(inside.name, flags, dir_fd=place)
    finally:
        os.close(place)
