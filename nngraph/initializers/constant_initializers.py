"""Initializers without chance: constants, the identity matrix and the short-time Fourier transform."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.initializers.base import Array, Initializer, checked_shape, resolve_dtype

__all__ = ["STFT", "Constant", "Identity", "Ones", "Zeros"]


class Constant(Initializer):
    """Fill with one value, or with an array that broadcasts to the shape.

    >>> Constant(0.5)((2, 2))
    array([[0.5, 0.5],
           [0.5, 0.5]], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return the value, broadcast to `shape`; raises ValueError when it does not fit."""
        shape = checked_shape(shape)
        value = np.asarray(self.value).astype(resolve_dtype(dtype))
        try:
            return np.broadcast_to(value, shape).copy()
        except ValueError:
            raise ValueError(
                f"The value of the Constant initializer has shape {value.shape}, "
                f"which does not broadcast to the variable's shape {shape}."
            ) from None

    def get_config(self) -> dict[str, Any]:
        """Return `{"value": ...}`, with an array as nested lists."""
        return {"value": self.value.tolist() if isinstance(self.value, np.ndarray | np.generic) else self.value}


class Zeros(Initializer):
    """Fill with zeros.

    >>> Zeros()((3,), dtype="int32")
    array([0, 0, 0], dtype=int32)
    """

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return zeros of the given shape and dtype."""
        return np.zeros(checked_shape(shape), resolve_dtype(dtype))


class Ones(Initializer):
    """Fill with ones.

    >>> Ones()((3,))
    array([1., 1., 1.], dtype=float32)
    """

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return ones of the given shape and dtype."""
        return np.ones(checked_shape(shape), resolve_dtype(dtype))


class Identity(Initializer):
    """`gain` times the identity matrix; a matrix that is not square has zeros beyond its diagonal.

    >>> Identity(gain=2)((2, 3))
    array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return the matrix; raises ValueError when `shape` is not that of a matrix."""
        shape = checked_shape(shape)
        if len(shape) != 2:
            raise ValueError(f"The Identity initializer makes matrices only. Received: shape={shape}")
        dtype = resolve_dtype(dtype)
        return (self.gain * np.eye(*shape)).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        """Return `{"gain": ...}`."""
        return {"gain": self.gain}


# A window is the sum over k of (-1)^k a_k cos(2πkn / (N - 1)), n = 0 … N - 1; these are the a_k.
_COSINE_WINDOWS: dict[str, tuple[float, ...]] = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}
_WINDOWS = (*_COSINE_WINDOWS, "bartlett", "cosine")


class STFT(Initializer):
    """Kernels that make a 1D convolution a short-time Fourier transform.

    For a kernel of shape `(N, 1, F)` the transform has the length L = 2 (F - 1), and with the window w

        real[n, 0, k] =  w[n] cos(2πnk / L)        imag[n, 0, k] = -w[n] sin(2πnk / L)

    Args:
        side: "real" or "imag".
        window: the name of a window, an array of N numbers, or None for no window.
        scaling: "density" divides by the root of the sum of the squares of w, "spectrum" by the sum of w, None not.
        periodic: take the first N numbers of the window of length N + 1 instead of the symmetric window.

    >>> STFT(window=None)((4, 1, 3))[:, 0, 0]
    array([1., 1., 1., 1.], dtype=float32)
    """

    def __init__(
        self,
        side: str = "real",
        window: str | Iterable[float] | None = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ) -> None:
        if side not in ("real", "imag"):
            raise ValueError(f"The argument side of STFT must be 'real' or 'imag'. Received: side={side!r}")
        if isinstance(window, str) and window not in _WINDOWS:
            raise unknown_name("window", window, _WINDOWS)
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(
                f"The argument scaling of STFT must be 'density', 'spectrum' or None. Received: scaling={scaling!r}"
            )
        self.side = side
        self.window = window if window is None or isinstance(window, str) else [float(entry) for entry in window]
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Iterable[int] | int, dtype: Any = None) -> Array:
        """Return the kernel; raises ValueError when `shape` is not `(frame length, 1, frequencies)`."""
        shape = checked_shape(shape)
        if len(shape) != 3 or shape[1] != 1 or shape[2] < 2:
            raise ValueError(
                "The STFT initializer makes kernels of shape (frame length, 1, frequencies >= 2). "
                f"Received: shape={shape}"
            )
        frame_length, _, frequencies = shape
        window = self._window_values(frame_length)
        time = np.arange(frame_length)[:, None]
        angle = 2 * np.pi * time * np.arange(frequencies) / (2 * (frequencies - 1))
        wave = np.cos(angle) if self.side == "real" else -np.sin(angle)
        return (window[:, None] * wave)[:, None, :].astype(resolve_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"side": self.side, "window": self.window, "scaling": self.scaling, "periodic": self.periodic}

    def _window_values(self, length: int) -> Array:
        if self.window is None:
            return np.ones(length)
        if isinstance(self.window, str):
            values = _window(self.window, length + 1)[:-1] if self.periodic else _window(self.window, length)
        else:
            values = np.asarray(self.window)
        if values.shape != (length,):
            raise ValueError(
                f"The window of the STFT initializer has {values.size} entries, but the kernel's frames have {length}."
            )
        if self.scaling is None:
            return values
        scale = np.sqrt(np.sum(values**2)) if self.scaling == "density" else np.sum(values)
        if scale == 0:
            raise ValueError(
                f"The window {self.window!r} of length {length} is zero everywhere and cannot be scaled; "
                "use longer frames, periodic=True or scaling=None."
            )
        return values / scale


def _window(name: str, length: int) -> Array:
    """Return the symmetric window of that name."""
    if length == 1:
        return np.ones(1)
    if name == "bartlett":
        return np.bartlett(length)
    position = np.arange(length)
    if name == "cosine":
        return np.sin(np.pi * (position + 0.5) / length)
    angle = 2 * np.pi * position / (length - 1)
    return sum(
        ((-1) ** k * a * np.cos(k * angle) for k, a in enumerate(_COSINE_WINDOWS[name])),
        start=np.zeros(length),
    )
