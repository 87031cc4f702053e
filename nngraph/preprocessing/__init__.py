"""The old home of some utilities; they are those of ``nngraph.utils``."""

from __future__ import annotations

from nngraph.preprocessing import image, sequence
from nngraph.utils.directories import image_dataset_from_directory, text_dataset_from_directory
from nngraph.utils.timeseries import timeseries_dataset_from_array

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
