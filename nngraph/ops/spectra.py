"""Discrete Fourier transforms of whole signals and of their windows.

Complex numbers are pairs of real tensors. Whole signals use ONNX's ``DFT``. Short windows are a convolution with the
waves of a discrete Fourier transform, which every provider computes fast; going back is its transpose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nngraph.ir import numpy_dtype
from nngraph.ops.axes import ints, rank, reshaped, scalar, sizes, sliced, to_float
from nngraph.ops.core import convert, dtype_of, promote, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.shapes import concatenate, flip, pad
from nngraph.ops.trace import apply
from nngraph.ops.vjp import raw, vjp

__all__ = ["extract_sequences", "fft", "fft2", "ifft2", "irfft", "istft", "rfft", "stft"]


def _pair(x: Any, what: str) -> list[Any]:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(f"{what} takes a tuple of two tensors, the real and the imaginary part")
    parts = promote(*x, to_float=True)
    if rank(parts[0]) != rank(parts[1]):
        raise ValueError(f"{what}: the real part has rank {rank(parts[0])}, the imaginary part {rank(parts[1])}")
    return parts


def _joined(parts: list[Any]) -> Any:
    return concatenate([apply("Unsqueeze", p, ints(-1)) for p in parts], -1)


def _parted(t: Any) -> tuple[Any, Any]:
    last = rank(t) - 1
    real, imag = (apply("Squeeze", sliced(t, last, k, k + 1), ints(-1)) for k in (0, 1))
    return real, imag


def _dft(t: Any, axis: int, length: int | None = None, **attributes: Any) -> Any:
    """Transform along an axis of a tensor whose last axis holds the parts."""
    count = None if length is None else np.asarray(length, np.int64)
    shape = list(t.shape)
    shape[-1] = 2
    if length is not None:
        shape[axis] = length
    if attributes.get("onesided") and isinstance(shape[axis], int):
        shape[axis] = shape[axis] // 2 + 1
    elif attributes.get("onesided"):
        shape[axis] = "?"
    types = [type_of(t).with_shape(shape)] if "?" not in shape else None
    return apply("DFT", t, count, np.asarray(axis, np.int64), types=types, **attributes)


@vjp("DFT")
def _(g: Any, y: Any, x: Any, length: Any = None, axis: Any = None, *, inverse: int = 0, onesided: int = 0) -> Any:
    """The adjoint of a transform is the other one, up to the factor of the inverse.

    Before, a half spectrum is filled up with zeros; after, padding of the signal is cut off, or what was cut off is 0.
    """
    place = int(np.asarray(axis.data if hasattr(axis, "data") and not isinstance(axis, np.ndarray) else axis))
    place = (rank(x) - 2 if axis is None else place) % rank(x)
    if onesided and inverse:
        return (_half_spectrum_gradient(g, x, axis, place, length),)
    size = _entry(length) if length is not None else _size(x, place)
    if onesided:
        g = _fitted(g, place, size)
    whole = raw.DFT(g, None, axis, inverse=1 - inverse)
    count = raw.Cast(size, to=dtype_of(g))
    back = raw.Div(whole, count) if inverse else raw.Mul(whole, count)
    back = _fitted(back, place, _size(x, place))
    if x.shape[-1] == 1:
        back = raw.Slice(back, ints(0), ints(1), ints(-1))
    return (apply("Identity", back, types=[type_of(x)]) if back.shape != x.shape else back,)


def _size(x: Any, axis: int) -> Any:
    return ints(x.shape[axis]) if isinstance(x.shape[axis], int) else raw.Shape(x, start=axis, end=axis + 1)


def _half_spectrum_gradient(g: Any, x: Any, axis: Any, place: int, length: Any) -> Any:
    """The gradient of a real signal's half spectrum: all frequencies but the first and the middle one count twice."""
    have, bins = g.shape[place], x.shape[place]
    if length is not None and not (isinstance(have, int) and isinstance(bins, int) and have == 2 * (bins - 1)):
        raise ValueError(
            "the inverse of a one-sided DFT has a gradient only for 2 (bins - 1) results, as without a length"
        )
    half = raw.DFT(g, None, axis, onesided=1)
    count = _size(g, place)
    numbers = raw.Range(np.asarray(0, np.int64), raw.Squeeze(_size(half, place), ints(0)), np.asarray(1, np.int64))
    once = raw.Or(raw.Equal(numbers, ints(0)), raw.Equal(raw.Mul(numbers, ints(2)), count))
    share = raw.Div(raw.Where(once, scalar(1, g), scalar(2, g)), raw.Cast(count, to=dtype_of(g)))
    back = raw.Mul(half, raw.Reshape(share, ints(*(-1 if k == place else 1 for k in range(rank(g))))))
    back = _fitted(back, place, _size(x, place))
    return apply("Identity", back, types=[type_of(x)]) if back.shape != x.shape else back


def _entry(number: Any) -> Any:
    return raw.Reshape(convert(number, "int64"), ints(1))


def _fitted(t: Any, axis: int, size: Any) -> Any:
    """Cut an axis or fill it up with zeros to a size."""
    have = _size(t, axis)
    if isinstance(have, np.ndarray) and isinstance(size, np.ndarray) and have == size:
        return t
    missing = raw.Sub(size, have)
    shape = [*t.shape[:axis], int(size[0]) if isinstance(size, np.ndarray) else "?", *t.shape[axis + 1 :]]
    types = [type_of(t).with_shape(shape)] if "?" not in shape else None
    return apply("Pad", t, raw.Concat(ints(0), missing, axis=0), None, ints(axis), types=types)


@public
def fft(x: Any) -> Any:
    """Return the Fourier transform along the last axis.

    Args:
        x: a tuple of the real and the imaginary part.

    Returns:
        A tuple of both parts.

    Example:
        >>> fft((np.float32([1, 1]), np.float32([0, 0])))[0].tolist()
        [2.0, 0.0]
    """
    parts = _pair(x, "fft")
    return _flat_parts(_dft(_with_batch(_joined(parts), parts[0]), 1), parts[0])


def _with_batch(t: Any, like: Any) -> Any:
    """Return the tensor as (batch, n, parts): the operator wants one batch axis."""
    dims = sizes(like)
    return reshaped(t, [_product(dims[:-1]), dims[-1], t.shape[-1]])


def _flat_parts(t: Any, like: Any) -> tuple[Any, Any]:
    """Split (batch, n, 2) into two parts with the batch axes of ``like``."""
    shape = [*sizes(like)[:-1], sizes(t)[1]]
    real, imag = _parted(t)
    return reshaped(real, shape), reshaped(imag, shape)


def _product(dims: list[Any]) -> Any:
    total: Any = math.prod(d for d in dims if isinstance(d, int))
    for d in dims:
        total = total if isinstance(d, int) else d * total
    return total


def _fft2(x: Any, inverse: int, what: str) -> tuple[Any, Any]:
    parts = _pair(x, what)
    dims = sizes(parts[0])
    if len(dims) < 2:
        raise ValueError(f"{what} takes tensors of rank 2 and more, got shape {tuple(parts[0].shape)}")
    t = reshaped(_joined(parts), [_product(dims[:-2]), dims[-2], dims[-1], 2])
    t = _dft(_dft(t, 1, inverse=inverse), 2, inverse=inverse)
    real, imag = _parted(t)
    return reshaped(real, dims), reshaped(imag, dims)


@public
def fft2(x: Any) -> Any:
    """Return the Fourier transform along the last two axes of a tuple of real and imaginary part."""
    return _fft2(x, 0, "fft2")


@public
def ifft2(x: Any) -> Any:
    """Return the inverse of :func:`fft2`."""
    return _fft2(x, 1, "ifft2")


@public
def rfft(x: Any, fft_length: int | None = None) -> Any:
    """Return the non-negative frequencies of a real signal along the last axis.

    Args:
        x: the signal.
        fft_length: the signal is cut or filled up with zeros to this length.

    Returns:
        A tuple of real and imaginary part, of size ``fft_length // 2 + 1``.
    """
    t = to_float(x)
    column = _with_batch(apply("Unsqueeze", t, ints(-1)), t)
    return _flat_parts(_dft(column, 1, fft_length, onesided=1), t)


@public
def irfft(x: Any, fft_length: int | None = None) -> Any:
    """Return the real signal of a half spectrum, the inverse of :func:`rfft`.

    Args:
        x: a tuple of real and imaginary part.
        fft_length: the signal's length; ``2 (size - 1)`` by default.
    """
    real, imag = _pair(x, "irfft")
    half = real.shape[-1]
    if fft_length is None and not isinstance(half, int):
        raise ValueError(f"irfft: the spectrum's size is {half!r}, known only at run time; give fft_length=")
    length = 2 * (half - 1) if fft_length is None else int(fft_length)
    spectrum = _with_batch(_joined([real, imag]), real)
    known = length // 2 + 1
    if half != known:
        spectrum = _fitted(spectrum, 1, ints(known))
    # The other frequencies are the conjugates, in reverse.
    mirrored = flip(sliced(spectrum, 1, 1, (length + 1) // 2), 1)
    mirrored = apply("Mul", mirrored, np.array([1, -1], numpy_dtype(dtype_of(real))))
    whole = concatenate([spectrum, mirrored], 1)
    return _flat_parts(_dft(whole, 1, inverse=1), real)[0]


# -- windows of a signal --------------------------------------------------------------------------------------------


@public
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Any:
    """Return the windows of a signal along the last axis: shape ``(..., windows, sequence_length)``."""
    t = convert(x)
    length = t.shape[-1]
    if not isinstance(length, int):
        raise ValueError(f"extract_sequences: the signal's length is {length!r}, known only at run time")
    starts = np.arange(0, length - sequence_length + 1, sequence_stride)
    places = starts[:, None] + np.arange(sequence_length)
    return apply("Gather", t, places.astype(np.int64), axis=rank(t) - 1)


def _taper(window: Any, sequence_length: int, fft_length: int) -> np.ndarray[Any, Any]:
    """Return the window, centred in the transform's length."""
    if sequence_length > fft_length:
        raise ValueError(f"fft_length={fft_length} must be at least sequence_length={sequence_length}")
    if window is None:
        shape = np.ones(sequence_length)
    elif isinstance(window, str):
        # Periodic windows: one period of a sequence that would begin again.
        table = {"hann": np.hanning, "hamming": np.hamming}
        if window not in table:
            raise ValueError(f"window must be 'hann', 'hamming', an array or None, got {window!r}")
        shape = table[window](sequence_length + 1)[:-1]
    else:
        shape = np.asarray(window)
        if shape.shape != (sequence_length,):
            raise ValueError(f"the window must have shape ({sequence_length},), got {shape.shape}")
    before = (fft_length - sequence_length) // 2
    return np.pad(shape, (before, fft_length - sequence_length - before))


def _waves(fft_length: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return cos and -sin of the non-negative frequencies: each (frequencies, time)."""
    turns = np.outer(np.arange(fft_length // 2 + 1), np.arange(fft_length)) % fft_length
    angles = 2 * np.pi * turns / fft_length
    return np.cos(angles), -np.sin(angles)


@public
def stft(
    x: Any, sequence_length: int, sequence_stride: int, fft_length: int, window: Any = "hann", center: bool = True
) -> Any:
    """Return the Fourier transforms of windows of a real signal along the last axis.

    Args:
        x: the signal.
        sequence_length: length of the window.
        sequence_stride: distance from one window to the next.
        fft_length: length of the transform; the window is centred in it.
        window: ``"hann"``, ``"hamming"``, an array, or ``None`` for ones.
        center: whether the signal is mirrored at its ends, so that window k is centred at ``k * sequence_stride``.

    Returns:
        A tuple of real and imaginary part, of shape ``(..., windows, fft_length // 2 + 1)``.
    """
    t = to_float(x)
    if center:
        widths = [(0, 0)] * (rank(t) - 1) + [(fft_length // 2, fft_length // 2)]
        t = pad(t, widths, mode="reflect")
    taper = _taper(window, sequence_length, fft_length)
    kernel = np.concatenate(_waves(fft_length))[:, None] * taper
    dims = sizes(t)
    signal = reshaped(t, [_product(dims[:-1]), 1, dims[-1]])
    found = apply("Conv", signal, scalar(kernel, t), strides=(sequence_stride,))
    found = apply("Transpose", found, perm=(0, 2, 1))
    half = fft_length // 2 + 1
    shape = [*dims[:-1], sizes(found)[1], half]
    return tuple(reshaped(part, shape) for part in apply("Split", found, ints(half, half), outputs=2, axis=2))


@public
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """Return the signal of which :func:`stft` gave the transforms: windows are put back and their overlap divided out.

    Args:
        x: a tuple of real and imaginary part, ``(..., windows, fft_length // 2 + 1)``.
        sequence_length: as in :func:`stft`.
        sequence_stride: as in :func:`stft`.
        fft_length: as in :func:`stft`.
        length: cut or fill up the signal to this length.
        window: as in :func:`stft`.
        center: as in :func:`stft`.
    """
    real, imag = _pair(x, "istft")
    count, half = real.shape[-2], fft_length // 2 + 1
    if not isinstance(count, int):
        raise ValueError(f"istft: the number of windows is {count!r}, known only at run time")
    dims = sizes(real)
    spectrum = reshaped(concatenate([real, imag], -1), [_product(dims[:-2]), count, 2 * half])
    taper = _taper(window, sequence_length, fft_length)
    # Every frequency but the first and, for even lengths, the last stands for its conjugate too.
    weights = np.full(half, 2.0)
    weights[0] = 1
    if fft_length % 2 == 0:
        weights[-1] = 1
    kernel = np.concatenate([wave * weights[:, None] for wave in _waves(fft_length)])[:, None] * taper / fft_length
    signal = apply(
        "ConvTranspose", apply("Transpose", spectrum, perm=(0, 2, 1)), scalar(kernel, real), strides=(sequence_stride,)
    )
    total = (count - 1) * sequence_stride + fft_length
    overlap = np.zeros(total)
    for k in range(count):
        overlap[k * sequence_stride : k * sequence_stride + fft_length] += taper**2
    signal = apply("Mul", signal, scalar(np.where(overlap > 1e-11, 1 / np.maximum(overlap, 1e-11), 1.0), real))
    start = fft_length // 2 if center else 0
    stop = total - start if length is None else min(start + length, total)
    signal = sliced(signal, 2, start, stop)
    signal = reshaped(signal, [*dims[:-2], stop - start])
    missing = 0 if length is None else length - (stop - start)
    return pad(signal, [(0, 0)] * (len(dims) - 2) + [(0, missing)]) if missing > 0 else signal
