"""Unpack archives without letting them write anywhere else."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from nngraph.errors import unknown_name

__all__ = ["extract_archive"]

_FORMATS = ("tar", "zip")


def extract_archive(path: Path, target: Path, archive_format: str | Iterable[str] | None = "auto") -> bool:
    """Unpack a tar or zip file into the directory ``target``, which appears complete or not at all.

    Args:
        path: the archive; tar files may be compressed by gzip, bzip2 or xz.
        target: the directory to make; one that exists is replaced.
        archive_format: "auto", "tar", "zip", a list of them, or None for none.

    Returns:
        Whether ``path`` is an archive of such a format.

    Raises:
        ValueError: the format is unknown, or a member would be written outside ``target``.
    """
    if archive_format is None:
        return False
    formats = [archive_format] if isinstance(archive_format, str) else list(archive_format)
    formats = list(_FORMATS) if formats == ["auto"] else formats
    for name in formats:
        if name not in _FORMATS:
            raise unknown_name("archive_format", name, ("auto", *_FORMATS))
    for name, is_archive, unpack in (
        ("tar", tarfile.is_tarfile, _unpack_tar),
        ("zip", zipfile.is_zipfile, _unpack_zip),
    ):
        if name in formats and is_archive(path):
            _make_whole(target, path, unpack)
            return True
    return False


def _make_whole(target: Path, path: Path, unpack: Callable[[Path, Path], None]) -> None:
    """Unpack beside the target and move it into place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        unpack(path, temporary)
        temporary.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _unpack_tar(path: Path, directory: Path) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise RuntimeError("This Python cannot unpack tar files safely. Update it: 3.11.4 or later can.")
    with tarfile.open(path) as archive:
        try:
            # The filter refuses absolute names, names and links that lead outside, and device files.
            archive.extractall(directory, filter="data")
        except tarfile.FilterError as error:
            raise ValueError(f"{path} is not safe to unpack: {error}.") from None


def _unpack_zip(path: Path, directory: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = PurePosixPath(info.filename.replace("\\", "/"))
            leads_outside = name.is_absolute() or ".." in name.parts or ":" in name.parts[0]
            if leads_outside or stat.S_ISLNK(info.external_attr >> 16):
                raise ValueError(f"{path} is not safe to unpack: its member {info.filename!r} leads outside.")
        archive.extractall(directory)
