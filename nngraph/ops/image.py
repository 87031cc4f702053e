"""Functions of images, named as in ``keras.ops.image``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ir import is_float, numpy_dtype
from nngraph.ops.axes import ints, rank, reshaped, sizes
from nngraph.ops.core import convert, dtype_of, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.image_warp import affine_transform
from nngraph.ops.shapes import pad
from nngraph.ops.trace import apply
from nngraph.ops.vjp import raw
from nngraph.ops.windows import check_data_format, per_axis

__all__ = ["affine_transform", "resize"]

# Name to ONNX's mode, where ONNX has it.
_MODES = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "lanczos3": None, "lanczos5": None}


@public(namespace="image")
def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Any:
    """Return images in another size; pixel centres lie at half numbers.

    Args:
        images: (batch, height, width, channels) or (height, width, channels), or with the channels first.
        size: new height and width.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or ``"lanczos5"``.
        antialias: widen the kernel when the images become smaller.
        crop_to_aspect_ratio: cut the images' middle out first, in the aspect ratio of ``size``.
        pad_to_aspect_ratio: extend the images first to the aspect ratio of ``size``.
        fill_mode: how they are extended; only ``"constant"``.
        fill_value: with what.
        data_format: ``"channels_last"`` or ``"channels_first"``; default is the configured one.

    Returns:
        The dtype of ``images``; integers are rounded.

    Raises:
        ValueError: an option is none of these, or needs sizes that are not known.

    Example:
        >>> resize(np.array([0, 10], "float32").reshape(1, 2, 1), (1, 4)).ravel().tolist()
        [0.0, 2.5, 7.5, 10.0]
    """
    if interpolation not in _MODES:
        raise unknown_name("interpolation", interpolation, _MODES)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be true")
    if fill_mode != "constant":
        raise ValueError(f"resize: fill_mode must be 'constant', got {fill_mode!r}")
    layout = check_data_format(data_format)
    target = per_axis(size, 2, "size")
    x = convert(images)
    if rank(x) not in (3, 4):
        raise ValueError(f"resize takes images (batch, height, width, channels) or one image, got {type_of(x)}")
    first = (0 if layout == "channels_last" else 1) + rank(x) - 3
    axes = (first, first + 1)
    if crop_to_aspect_ratio:
        x = _cropped(x, axes, target)
    elif pad_to_aspect_ratio:
        x = _padded(x, axes, target, fill_value)
    return _resized(x, axes, target, interpolation, antialias)


def _known(x: Any, axes: Sequence[int], option: str) -> tuple[int, int]:
    found = [type_of(x).shape[a] for a in axes]
    if not all(isinstance(s, int) for s in found):
        raise ValueError(f"resize: {option} needs images of known height and width, got {type_of(x)}")
    return int(found[0]), int(found[1])


def _cropped(x: Any, axes: Sequence[int], target: Sequence[int]) -> Any:
    height, width = _known(x, axes, "crop_to_aspect_ratio=True")
    kept = min(height, width * target[0] // target[1]), min(width, height * target[1] // target[0])
    key = [slice(None)] * rank(x)
    for axis, have, want in zip(axes, (height, width), kept, strict=True):
        start = (have - want) // 2
        key[axis] = slice(start, start + want)
    return x[tuple(key)]


def _padded(x: Any, axes: Sequence[int], target: Sequence[int], value: float) -> Any:
    height, width = _known(x, axes, "pad_to_aspect_ratio=True")
    wanted = max(height, width * target[0] // target[1]), max(width, height * target[1] // target[0])
    widths = [(0, 0)] * rank(x)
    for axis, have, want in zip(axes, (height, width), wanted, strict=True):
        before = (want - have) // 2
        widths[axis] = (before, want - have - before)
    return pad(x, widths, constant_values=value)


def _resized(x: Any, axes: Sequence[int], target: Sequence[int], method: str, antialias: bool) -> Any:
    known = [type_of(x).shape[a] for a in axes]
    if known == list(target):
        return x
    static = all(isinstance(s, int) for s in known)
    if method == "nearest" and static:
        for axis, have, want in zip(axes, known, target, strict=True):
            x = x if have == want else raw.Gather(x, _nearest(int(have), want), axis=axis)
        return x
    dtype = dtype_of(x)
    if not is_float(dtype):
        rounded = raw.Round(_resized(convert(x, "float32"), axes, target, method, antialias))
        limits = np.iinfo(numpy_dtype(dtype))
        return convert(raw.Clip(rounded, np.float32(limits.min), np.float32(limits.max)), dtype)
    if not static:
        return _at_run_time(x, axes, target, method, antialias)
    if method == "bilinear" and not antialias and dtype == "float32":
        return _resize_node(x, axes, target, mode="linear")
    for axis, have, want in zip(axes, known, target, strict=True):
        if have != want:
            x = _along(x, axis, _weights(int(have), want, method, antialias))
    return x


def _at_run_time(x: Any, axes: Sequence[int], target: Sequence[int], method: str, antialias: bool) -> Any:
    mode = _MODES[method]
    if mode is None or antialias:
        option = "antialias=True" if antialias else f"interpolation={method!r}"
        raise ValueError(f"resize: {option} needs images of known height and width, got {type_of(x)}")
    exclude = 1 if mode == "cubic" else 0
    return _resize_node(
        x, axes, target, mode=mode, nearest_mode="round_prefer_ceil", cubic_coeff_a=-0.5, exclude_outside=exclude
    )


def _resize_node(x: Any, axes: Sequence[int], target: Sequence[int], **attributes: Any) -> Any:
    kind = type_of(x)
    wanted = dict(zip(axes, target, strict=True))
    types = [kind.with_shape(wanted.get(k, d) for k, d in enumerate(kind.shape))]
    return apply("Resize", x, None, None, ints(*target), axes=tuple(axes), types=types, **attributes)


# -- interpolation as a matrix --------------------------------------------------------------------------------------


def _nearest(have: int, want: int) -> np.ndarray[Any, Any]:
    return np.floor((np.arange(want) + 0.5) * have / want).astype(np.int64)


def _triangle(x: Any) -> Any:
    return np.maximum(1 - x, 0)


def _cubic(x: Any) -> Any:
    """Keys's cubic with a = -1/2."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(radius: int) -> Callable[[Any], Any]:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


_KERNELS: dict[str, Callable[[Any], Any]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


def _weights(have: int, want: int, method: str, antialias: bool = False) -> np.ndarray[Any, Any]:
    """Return the matrix ``(want, have)`` that interpolates an axis; weights outside of the image go to those inside."""
    step = have / want
    if method == "nearest":
        return np.eye(have)[_nearest(have, want)]
    centres = (np.arange(want) + 0.5) * step - 0.5
    reach = max(step, 1) if antialias else 1
    weights = _KERNELS[method](np.abs(centres[:, None] - np.arange(have)[None, :]) / reach)
    return weights / weights.sum(axis=1, keepdims=True)


def _along(x: Any, axis: int, matrix: np.ndarray[Any, Any]) -> Any:
    """Multiply one axis of a tensor with a matrix."""
    m = matrix.astype(numpy_dtype(dtype_of(x)))
    dims = sizes(x)
    if axis == len(dims) - 1:
        return raw.MatMul(x, m.T)
    if axis == len(dims) - 2:
        return raw.MatMul(m, x)
    behind = [int(d) for d in dims[axis + 1 :]]
    flat = reshaped(x, [*dims[: axis + 1], int(np.prod(behind))])
    return reshaped(raw.MatMul(m, flat), [*dims[:axis], matrix.shape[0], *behind])
