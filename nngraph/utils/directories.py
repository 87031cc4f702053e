"""Data sets from directories of files: one subdirectory per class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nngraph import config
from nngraph.data.py_dataset import PyDataset
from nngraph.errors import unknown_name
from nngraph.utils.images import img_to_array, load_img
from nngraph.utils.numeric import to_categorical

__all__ = ["FileDataset", "image_dataset_from_directory", "text_dataset_from_directory"]

_IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_LABEL_MODES = ("int", "binary", "categorical", None)
_COLOR_MODES = ("grayscale", "rgb", "rgba")


class FileDataset(PyDataset):
    """Batches read from files when they are asked for.

    Attributes:
        file_paths: the files, in the order in which they are read.
        class_names: the classes; the label of a file is the position of its class here.
    """

    def __init__(
        self,
        file_paths: list[str],
        labels: np.ndarray | None,
        class_names: list[str],
        batch_size: int | None,
        read: Callable[[str], Any],
    ) -> None:
        super().__init__()
        self.file_paths = file_paths
        self.class_names = class_names
        self._labels = labels
        self._batch_size = batch_size
        self._read = read

    def __len__(self) -> int:
        return -(-len(self.file_paths) // (self._batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        if self._batch_size is None:
            x = self._read(self.file_paths[index])
            return (x,) if self._labels is None else (x, self._labels[index])
        rows = slice(index * self._batch_size, (index + 1) * self._batch_size)
        batch = np.stack([self._read(path) for path in self.file_paths[rows]])
        return (batch,) if self._labels is None else (batch, self._labels[rows])


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Return a ``PyDataset`` of the images below a directory, resized to one size.

    Args:
        directory: with one subdirectory per class where labels are inferred.
        labels: "inferred", None for none, or one integer per file in the order of their sorted paths.
        label_mode: "int", "binary" (two classes, floats), "categorical" (one-hot), or None for no labels.
        class_names: the classes in the order of their labels; the sorted subdirectories by default.
        color_mode: "grayscale", "rgb" or "rgba".
        batch_size: images in a batch; None gives single images.
        image_size: (height, width) of all images.
        shuffle: whether to mix the files, with ``seed`` (the seed of ``set_random_seed`` by default).
        validation_split: the fraction, the last of the files, for validation.
        subset: "training", "validation" or, for a pair of both, "both"; with ``validation_split`` only.
        interpolation: as for ``load_img``.
        follow_links: whether to enter subdirectories that are links.
        crop_to_aspect_ratio: whether to crop around the centre rather than distort.
        pad_to_aspect_ratio: whether to add black borders rather than distort.
        data_format: where the channels are; ``config.image_data_format()`` by default.
        format: accepted for Keras code and ignored.
        verbose: whether to write what was found.

    Raises:
        FileNotFoundError: there is no such directory.
        ValueError: an argument is wrong, or there is no image.
    """
    if color_mode not in _COLOR_MODES:
        raise unknown_name("color_mode", color_mode, _COLOR_MODES)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("Give only one of crop_to_aspect_ratio and pad_to_aspect_ratio.")

    def read(path: str) -> np.ndarray:
        if pad_to_aspect_ratio:
            image = _padded(load_img(path, color_mode=color_mode), image_size, interpolation)
        else:
            image = load_img(
                path,
                color_mode=color_mode,
                target_size=image_size,
                interpolation=interpolation,
                keep_aspect_ratio=crop_to_aspect_ratio,
            )
        return img_to_array(image, data_format=data_format)

    return _datasets(
        directory, _IMAGE_SUFFIXES, read, labels, label_mode, class_names, batch_size, shuffle, seed,
        validation_split, subset, follow_links, verbose,
    )  # fmt: skip


def text_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Return a ``PyDataset`` of the .txt files below a directory, as arrays of strings.

    Args:
        max_length: the most characters to keep of a text.

    The other arguments and the errors are those of ``image_dataset_from_directory``.
    """

    def read(path: str) -> Any:
        text = Path(path).read_text(encoding="utf-8")
        return np.array(text if max_length is None else text[:max_length], dtype=object)

    return _datasets(
        directory, (".txt",), read, labels, label_mode, class_names, batch_size, shuffle, seed,
        validation_split, subset, follow_links, verbose,
    )  # fmt: skip


def _datasets(
    directory: str | os.PathLike[str],
    suffixes: tuple[str, ...],
    read: Callable[[str], Any],
    labels: Any,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    verbose: bool,
) -> Any:
    if label_mode not in _LABEL_MODES:
        raise unknown_name("label_mode", label_mode, [mode for mode in _LABEL_MODES if mode is not None])
    _check_split(validation_split, subset, shuffle, seed)
    if not Path(directory).is_dir():
        raise FileNotFoundError(f"There is no directory {os.fspath(directory)!r}.")
    infer = isinstance(labels, str)
    if infer and labels != "inferred":
        raise ValueError(f"labels must be 'inferred', None or a list of integers. Received: {labels!r}")
    paths, numbers, names = _index(Path(directory), suffixes, class_names if infer else (), follow_links)
    if not paths:
        raise ValueError(f"There are no files ending in {', '.join(suffixes)} below {os.fspath(directory)!r}.")
    if not infer and labels is not None:
        numbers, names = list(labels), [str(name) for name in class_names or sorted(set(labels))]
        if len(numbers) != len(paths):
            raise ValueError(f"labels has {len(numbers)} items, but there are {len(paths)} files.")
    if verbose:
        print(f"Found {len(paths)} files" + (f" belonging to {len(names)} classes." if names else "."))
    if label_mode == "binary" and len(names) != 2:
        raise ValueError(f"label_mode='binary' needs two classes. There are {len(names)}: {', '.join(names)}.")
    has_labels = labels is not None and label_mode is not None
    encoded = _encode(numbers, label_mode, len(names)) if has_labels else None
    order = np.arange(len(paths))
    if shuffle:
        order = np.random.default_rng(config.global_seed() if seed is None else seed).permutation(len(paths))

    def dataset(part: np.ndarray) -> FileDataset:
        chosen = None if encoded is None else encoded[part]
        return FileDataset([str(paths[index]) for index in part], chosen, names, batch_size, read)

    if validation_split is None:
        return dataset(order)
    count = int(validation_split * len(paths))
    if count == 0:
        raise ValueError(f"validation_split={validation_split} of {len(paths)} files leaves none for validation.")
    training, validation = order[:-count], order[-count:]
    if verbose:
        print(f"Using {len(training)} files for training and {len(validation)} files for validation.")
    if subset == "both":
        return dataset(training), dataset(validation)
    return dataset(training if subset == "training" else validation)


def _index(
    directory: Path, suffixes: tuple[str, ...], class_names: Sequence[str] | None, follow_links: bool
) -> tuple[list[Path], list[int], list[str]]:
    """Return the files, the number of the class of each, and the classes; no classes means one flat collection."""
    if class_names is not None and len(class_names) == 0:
        return _files(directory, suffixes, follow_links), [], []
    found = sorted(entry.name for entry in directory.iterdir() if entry.is_dir())
    if class_names is not None and set(class_names) != set(found):
        raise ValueError(f"class_names must be the subdirectories {found}, in any order. Received: {list(class_names)}")
    names = found if class_names is None else list(class_names)
    paths: list[Path] = []
    numbers: list[int] = []
    for number, name in enumerate(names):
        files = _files(directory / name, suffixes, follow_links)
        paths += files
        numbers += [number] * len(files)
    return paths, numbers, names


def _files(directory: Path, suffixes: tuple[str, ...], follow_links: bool) -> list[Path]:
    return sorted(
        Path(root) / name
        for root, _, names in os.walk(directory, followlinks=follow_links)
        for name in names
        if name.lower().endswith(suffixes)
    )


def _encode(numbers: list[int], label_mode: str | None, count: int) -> np.ndarray:
    if label_mode == "categorical":
        return to_categorical(numbers, count).astype("float32")
    if label_mode == "binary":
        return np.array(numbers, "float32")[:, None]
    return np.array(numbers, "int32")


def _check_split(validation_split: float | None, subset: str | None, shuffle: bool, seed: int | None) -> None:
    if (validation_split is None) != (subset is None):
        raise ValueError("Give both validation_split and subset, or none of them.")
    if validation_split is None:
        return
    if not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be between 0 and 1. Received: {validation_split}")
    if subset not in ("training", "validation", "both"):
        raise unknown_name("subset", subset, ("training", "validation", "both"))
    if shuffle and seed is None and config.global_seed() is None and subset != "both":
        raise ValueError(
            "Two calls, for training and validation, would mix the files differently and overlap. "
            "Give seed, or shuffle=False, or subset='both'."
        )


def _padded(image: Any, size: tuple[int, int], interpolation: str) -> Any:
    """Return the image resized to fit into ``size`` without distortion, in the middle of black borders."""
    from PIL import Image

    height, width = size
    ratio = min(height / image.size[1], width / image.size[0])
    inner = (max(1, round(image.size[0] * ratio)), max(1, round(image.size[1] * ratio)))
    canvas = Image.new(image.mode, (width, height))
    resized = image.resize(inner, getattr(Image.Resampling, interpolation.upper()))
    canvas.paste(resized, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas
