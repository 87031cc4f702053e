"""Fashion-MNIST: 28x28 grey images of clothes in ten classes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from nngraph.datasets.sources import STORAGE, fetch

__all__ = ["load_data"]

# The four files have no published checksums; their headers and sizes are checked instead.
_LABELS_MAGIC, _IMAGES_MAGIC = 2049, 2051

Pair = tuple[np.ndarray, np.ndarray]


def load_data() -> tuple[Pair, Pair]:
    """Return ``(x_train, y_train), (x_test, y_test)``.

    The classes are: 0 T-shirt/top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag,
    9 ankle boot.

    Returns:
        Images as uint8 of shape (60000, 28, 28) and (10000, 28, 28), labels as uint8 of shape (60000,) and (10000,).

    Raises:
        FileNotFoundError: a file is not in the cache and cannot be downloaded; the message says where to put it.
        ValueError: a file is not what it should be.

    Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST", arXiv:1708.07747.
    """
    parts = []
    for part in ("train", "t10k"):
        labels = _read(f"{part}-labels-idx1-ubyte.gz", _LABELS_MAGIC)
        images = _read(f"{part}-images-idx3-ubyte.gz", _IMAGES_MAGIC)
        parts.append((images, labels))
    return parts[0], parts[1]


def _read(name: str, magic: int) -> np.ndarray:
    """Return the array of an IDX file: big-endian magic number and sizes, then the bytes."""
    path: Path = fetch(name, STORAGE + name, None, "datasets/fashion-mnist")
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is incomplete or no gzip file ({error}). Delete it to have it downloaded anew."
        ) from None
    rank = magic % 256
    start = 4 + 4 * rank
    header = struct.unpack(f">{rank + 1}i", data[:start]) if len(data) >= start else (0,)
    shape = header[1:]
    if header[0] != magic or len(data) - start != math.prod(shape):
        raise ValueError(f"{path} is not the expected IDX file. Delete it to have it downloaded anew.")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()
