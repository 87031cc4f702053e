"""What CIFAR-10 and CIFAR-100 share: a tar file of pickled batches."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from nngraph import config
from nngraph.datasets.pickles import read_pickle

__all__ = ["SITE", "images", "labels", "read_members"]

SITE = "https://www.cs.toronto.edu/~kriz/"


def read_members(path: Path, names: list[str]) -> list[dict[str, Any]]:
    """Return the batches of that name from the tar file, without unpacking it to disk.

    Raises:
        ValueError: the file is no such tar file, or a batch is missing or not what it should be.
    """
    try:
        with tarfile.open(path) as archive:
            batches = []
            for name in names:
                member = archive.extractfile(name)
                if member is None:
                    raise KeyError(name)
                batches.append(read_pickle(member, f"{path}, member {name},"))
            return batches
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise ValueError(
            f"{path} is not the expected archive ({error}). Delete it to have it downloaded anew."
        ) from None


def images(batches: list[dict[str, Any]]) -> np.ndarray:
    """Return the images of batches as uint8, with the channels where ``config.image_data_format()`` wants them."""
    stacked = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    if config.image_data_format() == "channels_first":
        return stacked
    return np.ascontiguousarray(stacked.transpose(0, 2, 3, 1))


def labels(batches: list[dict[str, Any]], key: str) -> np.ndarray:
    """Return the labels of batches as a column."""
    return np.concatenate([np.asarray(batch[key]) for batch in batches]).reshape(-1, 1)
