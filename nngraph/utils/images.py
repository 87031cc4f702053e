"""Images as arrays, and back; files need Pillow, the extra ``image``."""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import numpy as np

from nngraph import config
from nngraph.errors import missing_extra, unknown_name

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_COLOR_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_DATA_FORMATS = ("channels_first", "channels_last")


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """Return an array of shape (height, width, channels) as a Pillow image.

    Args:
        x: one image with 1, 3 or 4 channels.
        data_format: "channels_last" or "channels_first"; ``config.image_data_format()`` by default.
        scale: whether to stretch the values to 0..255.
        dtype: the dtype to compute with; ``config.floatx()`` by default.

    Raises:
        ValueError: the array has another rank or number of channels.
        ImportError: Pillow is not installed.
    """
    image_module = _pillow("array_to_img")
    array = np.asarray(x, dtype=dtype or config.floatx())
    if array.ndim != 3:
        raise ValueError(f"array_to_img needs an array of rank 3, one image. Received shape {array.shape}.")
    if _data_format(data_format) == "channels_first":
        array = array.transpose(1, 2, 0)
    if scale:
        array = array - array.min()
        highest = array.max()
        array = array / highest * 255 if highest != 0 else array
    channels = array.shape[2]
    if channels == 1:
        # Above 255 only the 32-bit grey mode can hold the values.
        wide = array.size and array.max() > 255
        return image_module.fromarray(array[:, :, 0].astype("int32" if wide else "uint8"))
    if channels not in (3, 4):
        raise ValueError(f"array_to_img needs 1, 3 or 4 channels. Received {channels}, shape {array.shape}.")
    return image_module.fromarray(array.astype("uint8"))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """Return a Pillow image as an array of shape (height, width, channels), of ``config.floatx()`` by default.

    >>> img_to_array(np.zeros((2, 3), "uint8")).shape
    (2, 3, 1)
    """
    array = np.asarray(img, dtype=dtype or config.floatx())
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise ValueError(f"img_to_array needs one image. Received an array of shape {array.shape}.")
    return array.transpose(2, 0, 1) if _data_format(data_format) == "channels_first" else array


def load_img(
    path: str | os.PathLike[str] | io.BytesIO,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Read an image file and return a Pillow image.

    Args:
        path: the file, or a ``BytesIO`` that holds it.
        color_mode: "grayscale", "rgb" or "rgba".
        target_size: (height, width) to resize to.
        interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: whether to crop around the centre rather than distort.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: ``color_mode`` or ``interpolation`` is unknown.
        ImportError: Pillow is not installed.
    """
    image_module = _pillow("load_img")
    if color_mode not in _COLOR_MODES:
        raise unknown_name("color_mode", color_mode, _COLOR_MODES)
    if interpolation not in _INTERPOLATIONS:
        raise unknown_name("interpolation", interpolation, _INTERPOLATIONS)
    with image_module.open(path) as opened:
        mode = _COLOR_MODES[color_mode]
        # Deep grey images keep their depth.
        keeps = opened.mode == mode or (mode == "L" and opened.mode in ("I;16", "I"))
        image = opened.copy() if keeps else opened.convert(mode)
    if target_size is None or image.size == (target_size[1], target_size[0]):
        return image
    height, width = target_size
    method = getattr(image_module.Resampling, interpolation.upper())
    box = None
    if keep_aspect_ratio:
        top, left, rows, columns = _centre_crop(image.size[1], image.size[0], height, width)
        box = (left, top, left + columns, top + rows)
    return image.resize((width, height), method, box=box)


def save_img(
    path: str | os.PathLike[str],
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array of shape (height, width, channels) as an image file.

    Args:
        path: the file; its suffix says the format, unless ``file_format`` does.
        x: one image with 1, 3 or 4 channels.
        data_format, scale: as for ``array_to_img``.
        file_format: a format of Pillow, such as "png".
        **kwargs: options of Pillow's ``Image.save``.
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    suffix = os.fspath(path).rsplit(".", 1)[-1] if file_format is None else file_format
    if image.mode == "RGBA" and suffix.lower() in ("jpg", "jpeg"):
        warnings.warn("JPEG has no transparency: the image is saved without it.", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, format=file_format, **kwargs)


def smart_resize(
    x: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
    **kwargs: Any,
) -> np.ndarray:
    """Resize one image or a batch without distortion: crop around the centre, then resize.

    Args:
        x: an array of shape (height, width, channels) or (batch, height, width, channels).
        size: the (height, width) wanted.
        interpolation: "bilinear" (without antialiasing, pixel centres at half integers) or "nearest".
        data_format: where the channels are.

    Raises:
        ValueError: the rank, ``size`` or a name is wrong.

    >>> smart_resize(np.arange(24.0).reshape(4, 6, 1), (2, 2))[:, :, 0]
    array([[ 4.5,  6.5],
           [16.5, 18.5]])
    """
    kwargs.pop("backend_module", None)
    if kwargs:
        raise TypeError(f"smart_resize has no argument {next(iter(kwargs))!r}.")
    if len(size) != 2:
        raise ValueError(f"size must be (height, width). Received: {size}")
    if interpolation not in ("bilinear", "nearest"):
        raise unknown_name("interpolation of smart_resize", interpolation, ("bilinear", "nearest"))
    array = np.asarray(x)
    if array.ndim not in (3, 4):
        raise ValueError(f"smart_resize needs an image of rank 3 or a batch of rank 4. Received shape {array.shape}.")
    rows = -2 if _data_format(data_format) == "channels_first" else -3
    top, left, height, width = _centre_crop(array.shape[rows], array.shape[rows + 1], *size)
    for axis, first, length, target in ((rows, top, height, size[0]), (rows + 1, left, width, size[1])):
        array = _resize_axis(array, axis, first, length, target, interpolation)
    return array


def _resize_axis(array: np.ndarray, axis: int, first: int, length: int, target: int, interpolation: str) -> np.ndarray:
    """Resample ``length`` positions from ``first`` on to ``target`` positions."""
    centres = (np.arange(target) + 0.5) * length / target
    if interpolation == "nearest":
        return np.take(array, first + np.minimum(centres.astype(int), length - 1), axis=axis)
    positions = np.clip(centres - 0.5, 0, length - 1)
    low = np.minimum(positions.astype(int), max(length - 2, 0))
    high = np.minimum(low + 1, length - 1)
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(config.floatx())
    shape = [1] * array.ndim
    shape[axis] = target
    weight = (positions - low).astype(dtype).reshape(shape)
    below, above = (np.take(array, first + index, axis=axis).astype(dtype) for index in (low, high))
    return below + (above - below) * weight


def _centre_crop(height: int, width: int, target_height: int, target_width: int) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of the largest centred part with the proportions of the target."""
    rows = min(height, max(1, int(width * target_height / target_width)))
    columns = min(width, max(1, int(height * target_width / target_height)))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _data_format(data_format: str | None) -> str:
    data_format = config.image_data_format() if data_format is None else data_format
    if data_format not in _DATA_FORMATS:
        raise unknown_name("data_format", data_format, _DATA_FORMATS)
    return data_format


def _pillow(purpose: str) -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise missing_extra("PIL", "image", purpose=purpose) from None
    return Image
