"""Download files into the cache directory, with checksums."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from nngraph import config
from nngraph.errors import unknown_name
from nngraph.utils.archives import extract_archive
from nngraph.utils.progbar import Progbar

__all__ = ["cached_file", "get_file", "has_hash"]

_CHUNK = 1 << 18
_TIMEOUT = 60
_ARCHIVE_SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.bz", ".tar.xz", ".tgz", ".tar", ".zip")


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Iterable[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """Return the path of a file in the cache, downloading it from a URL unless it is there.

    Args:
        fname: the name in the cache; the last part of the URL by default.
        origin: the URL.
        untar: as ``extract``, for tar files only.
        md5_hash: older name of ``file_hash``.
        file_hash: the expected checksum in hexadecimal. A cached file with another one is downloaded anew.
        cache_subdir: the directory within the cache.
        hash_algorithm: "sha256", "md5", or "auto" to tell it by the length of the checksum.
        extract: whether to unpack the file. The path of the directory is returned then: ``name_extracted`` for
            ``name.zip``, or ``fname`` itself where that has no suffix of an archive.
        archive_format: "auto", "tar", "zip", or a list of them.
        cache_dir: the cache; ``NNGRAPH_HOME`` by default.
        force_download: whether to download even if the file is there.

    Raises:
        ValueError: the checksum is wrong, ``fname`` is a path, ``origin`` is missing, or the file is no archive.
        FileNotFoundError: the download failed; the message says where to put the file by hand.
    """
    if not origin:
        raise ValueError("get_file needs origin, the URL to download from.")
    if fname is None:
        fname = os.path.basename(urllib.parse.unquote(urllib.parse.urlsplit(origin).path))
        if not fname:
            raise ValueError(f"The URL {origin!r} does not end with a file name. Give fname.")
    if fname in (".", "..") or os.path.basename(fname) != fname:
        raise ValueError(
            f"fname must be a name without directories; use cache_dir and cache_subdir. Received: {fname!r}"
        )
    file_hash = file_hash or md5_hash
    directory = Path(config.home() if cache_dir is None else cache_dir).expanduser() / cache_subdir
    unpack = extract or untar
    suffix = next((suffix for suffix in _ARCHIVE_SUFFIXES if fname.endswith(suffix)), None)
    path = directory / (f"{fname}_archive" if unpack and suffix is None else fname)
    is_fresh = False
    if force_download or not path.exists() or not _matches(path, file_hash, hash_algorithm):
        _download(origin, path, file_hash, hash_algorithm)
        is_fresh = True
    if not unpack:
        return str(path)
    target = directory / (fname if suffix is None else fname.removesuffix(suffix) + "_extracted")
    if (is_fresh or not target.exists()) and not extract_archive(path, target, "tar" if untar else archive_format):
        raise ValueError(f"{path} is not an archive that can be unpacked (tar or zip).")
    return str(target)


def cached_file(name: str, url: str, file_hash: str | None, subdir: str = "datasets") -> Path:
    """Return the path of ``name`` in the cache, downloading it unless it is there.

    Raises:
        ValueError: a file is there, but has another checksum; it is left alone.
        FileNotFoundError: the download failed; the message says where to put the file by hand.
    """
    path = config.home() / subdir / name
    if not path.exists():
        _download(url, path, file_hash, "auto")
    elif not _matches(path, file_hash, "auto"):
        raise ValueError(
            f"{path} is not the expected file: its checksum should be {file_hash}. It may be incomplete. "
            f"Delete it to have it downloaded anew, or replace it by the file from {url}"
        )
    return path


def has_hash(path: str | os.PathLike[str], file_hash: str, hash_algorithm: str = "auto") -> bool:
    """Return whether a file has that checksum.

    >>> has_hash(os.devnull, "d41d8cd98f00b204e9800998ecf8427e")
    True
    """
    digest = _hasher(file_hash, hash_algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == file_hash.lower()


def _matches(path: Path, file_hash: str | None, hash_algorithm: str) -> bool:
    return file_hash is None or has_hash(path, file_hash, hash_algorithm)


def _hasher(file_hash: str, hash_algorithm: str) -> hashlib._Hash:
    if hash_algorithm == "auto":
        hash_algorithm = {32: "md5", 64: "sha256"}.get(len(file_hash), "")
        if not hash_algorithm:
            raise ValueError(f"{file_hash!r} is neither an MD5 nor a SHA-256 checksum in hexadecimal.")
    if hash_algorithm not in ("md5", "sha256"):
        raise unknown_name("hash_algorithm", hash_algorithm, ("auto", "md5", "sha256"))
    return hashlib.new(hash_algorithm, usedforsecurity=False)


def _download(url: str, path: Path, file_hash: str | None, hash_algorithm: str) -> None:
    """Fetch a URL into a file that appears complete and checked, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if config.is_interactive_logging_enabled():
        print(f"Downloading data from {url}")
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _fetch(url, file)
            file.flush()
            os.fsync(file.fileno())
        if file_hash is not None and not has_hash(temporary, file_hash, hash_algorithm):
            raise ValueError(f"What came from {url} has not the expected checksum {file_hash}; it was not kept.")
        # mkstemp makes files that only their owner can read.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except (OSError, http.client.HTTPException) as error:
        Path(temporary).unlink(missing_ok=True)
        reason = getattr(error, "reason", None) or error
        raise FileNotFoundError(
            f"{path.name} is not in the cache and could not be downloaded from {url} ({reason}). "
            f"Download it elsewhere and put it into {path.parent} as {path.name}"
        ) from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _fetch(url: str, file: BinaryIO) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "nngraph"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdigit() else None
        bar = Progbar(total, unit_name="byte")
        received = 0
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            received += len(chunk)
            bar.update(received, finalize=False)
        bar.update(received, finalize=True)
    if total is not None and received < total:
        raise http.client.IncompleteRead(b"", total - received)
