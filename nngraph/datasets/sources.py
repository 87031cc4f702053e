"""Where the data sets come from, and how their files are read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from nngraph.datasets.pickles import read_pickle
from nngraph.utils.files import cached_file

__all__ = ["STORAGE", "fetch", "read_npz", "shuffled", "split_point"]

STORAGE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
"""The public bucket with the data sets that Keras serves."""


def fetch(path: str, url: str, file_hash: str | None, subdir: str = "datasets") -> Path:
    """Return the file of a data set: ``path`` if that is an absolute path, else from the cache.

    An absolute path is a file of the user's own and is not checked.
    """
    own = Path(path).expanduser()
    if not own.is_absolute():
        return cached_file(path, url, file_hash, subdir)
    if not own.exists():
        raise FileNotFoundError(f"There is no file {own}. Give the bare name {own.name!r} to have it downloaded.")
    return own


def read_npz(path: Path, *names: str) -> list[np.ndarray]:
    """Return arrays of an .npz file; object arrays are read by ``read_pickle``, so nothing in the file is executed.

    Raises:
        ValueError: it is not such a file, or lacks an array.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not an .npz file. Delete it to have it downloaded anew.")
    arrays = []
    with zipfile.ZipFile(path) as archive:
        for name in names:
            if f"{name}.npy" not in archive.namelist():
                raise ValueError(f"{path} has no array {name!r}; it has {', '.join(sorted(archive.namelist()))}.")
            with archive.open(f"{name}.npy") as file:
                version = np.lib.format.read_magic(file)
                is_first = version == (1, 0)
                read_header = np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
                shape, _, dtype = read_header(file)
                if dtype.hasobject:
                    array = np.asarray(read_pickle(file, f"{path}, array {name!r},"))
                    arrays.append(array.reshape(shape))
                    continue
            with archive.open(f"{name}.npy") as file:
                arrays.append(np.lib.format.read_array(file, allow_pickle=False))
    return arrays


def shuffled(seed: int, *arrays: np.ndarray) -> list[np.ndarray]:
    """Return the arrays in the order that Keras gives them for that seed."""
    order = np.arange(len(arrays[0]))
    np.random.RandomState(seed).shuffle(order)
    return [array[order] for array in arrays]


def split_point(count: int, test_split: float) -> int:
    """Return how many of ``count`` rows are for training.

    Raises:
        ValueError: ``test_split`` is not from 0 up to, but not including, 1.
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split must be at least 0 and below 1. Received: {test_split}")
    return int(count * (1 - test_split))
