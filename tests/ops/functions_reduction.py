"""Cases of reductions, statistics, order and windows of signals."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from function_case import C, Case, of, positive, truth, whole

X, WHOLE, B, V = of(2, 3, 4), whole(2, 3), truth(2, 3), of(7)
GAPS = np.where(of(3, 5) > 0.4, np.float32(np.nan), of(3, 5)).astype(np.float32)
GAPS[1] = np.nan
AXES = [{}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}]
SORTED = np.sort(of(6))
SIZES = "it needs to know the sizes"


def known(case: Case) -> Case:
    return replace(case, named=False, why=SIZES)


def quiet(fn: Any) -> Any:
    """Call numpy without its warnings about slices without numbers."""

    def call(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fn(*args, **kwargs)

    return call


def logsumexp(x: np.ndarray, **kwargs: Any) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.log(np.sum(np.exp(x.astype(np.float64)), **kwargs)).astype(np.float32)


def top_k(x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


def in_top_k(targets: np.ndarray, predictions: np.ndarray, k: int) -> np.ndarray:
    own = predictions[np.arange(len(targets)), targets]
    return np.sum(predictions > own[:, None], axis=1) < k


def nanarg(fn: Any) -> Any:
    def call(x: np.ndarray, axis: int) -> np.ndarray:
        filled = np.where(np.isnan(x), -np.inf if fn is np.argmax else np.inf, x)
        return np.where(np.isnan(x).all(axis), -1, fn(filled, axis))

    return call


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(((x[..., :, None, :] - y[..., None, :, :]) ** 2).sum(-1))


def windows(x: np.ndarray, length: int, stride: int) -> np.ndarray:
    return np.stack([x[..., s : s + length] for s in range(0, x.shape[-1] - length + 1, stride)], -2)


def stft(x: np.ndarray, length: int, stride: int, size: int, window: Any = "hann", center: bool = True) -> Any:
    taper = np.ones(length) if window is None else np.hanning(length + 1)[:-1]
    before = (size - length) // 2
    taper = np.pad(taper, (before, size - length - before))
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(size // 2, size // 2)], mode="reflect")
    found = np.fft.rfft(windows(x, size, stride) * taper)
    return found.real.astype(np.float32), found.imag.astype(np.float32)


def parts(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return z.real.astype(np.float32), z.imag.astype(np.float32)


def histogram(x: np.ndarray, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
    counts, edges = np.histogram(x, **kwargs)
    return counts.astype(np.float32), edges


SIGNAL, WAVE = of(2, 12), (of(2, 6), of(2, 6))
SHORT = {"window": None, "center": False}

CASES = [
    *(C(n, X, **k) for n in ("sum", "mean", "max", "min", "amax", "amin", "prod", "var", "std", "ptp") for k in AXES),
    *(C(n, B, **k) for n in ("any", "all") for k in AXES[:1] + [{"axis": 0}]),
    *(C(n, WHOLE, axis=0) for n in ("sum", "max", "min", "prod", "mean", "var", "any", "ptp")),
    *(C(n, B, axis=1) for n in ("sum", "max", "min")),
    C("sum", X, axis=()),
    C("sum", np.float32(3)),
    C("max", X, axis=1, initial=0.5),
    C("min", X, axis=1, initial=0.0),
    C("max", of(0), initial=3.0),
    C("prod", WHOLE, dtype="float32"),
    C("count_nonzero", WHOLE),
    C("count_nonzero", B, axis=1),
    C("average", X),
    C("average", X, axis=1, weights=positive(3)),
    C("average", WHOLE, axis=0, weights=positive(2, 3)),
    *(C(n, X, **k) for n in ("argmax", "argmin") for k in ({}, {"axis": 1}, {"axis": -1, "keepdims": True})),
    C("argmax", B, axis=1),
    *(C(n, X, **k) for n in ("cumsum", "cumprod") for k in ({"axis": 1}, {"axis": -1})),
    C("cumsum", WHOLE),
    C("cumsum", B, axis=1),
    C("cumsum", WHOLE, axis=0, dtype="float32"),
    *(Case("logsumexp", (X * 3,), k, expect=logsumexp) for k in AXES),
    Case("logsumexp", (np.float32([-np.inf, -np.inf]),), {}, expect=logsumexp),
    Case("logsumexp", (np.float32([1000, 1000]),), {}, expect=lambda x: np.float32(1000 + np.log(2))),
    C("diff", V),
    C("diff", X, n=2, axis=1),
    C("diff", B),
    C("trapezoid", X, axis=1),
    C("trapezoid", V, x=SORTED[:1].repeat(7) * np.arange(7, dtype=np.float32)),
    C("trapezoid", X, dx=0.5),
    known(C("vander", V[:4])),
    C("vander", V[:4], 3, increasing=True),
    C("cross", of(2, 3), of(2, 3)),
    known(C("cross", of(3, 2), of(3, 2), axisa=0, axisb=0)),
    C("cross", of(2, 3), of(2, 3), axisc=0),
    *(known(C("correlate", V, of(n), mode)) for n in (3, 4) for mode in ("valid", "same", "full")),
    *(known(C("correlate", of(3), V, mode)) for mode in ("valid", "same", "full")),
    known(C("corrcoef", of(3, 5))),
    C("corrcoef", V),
    Case("cdist", (of(3, 4), of(5, 4)), {}, expect=distances),
    Case("cdist", (of(2, 3, 4), of(2, 5, 4)), {}, expect=distances),
    Case("histogram", (V,), {}, expect=histogram),
    Case("histogram", (V,), {"bins": 4, "range": (-1.0, 1.0)}, expect=histogram),
    Case("histogram", (np.float32([2, 2]),), {}, expect=histogram),
    # -- NaN left out
    *(Case(n, (GAPS,), {"axis": 1}, expect=quiet(getattr(np, n))) for n in ("nansum", "nanmean", "nanmax", "nanmin")),
    *(
        Case(n, (GAPS,), {"axis": 1}, expect=quiet(getattr(np, n)))
        for n in ("nanvar", "nanstd", "nanprod", "nanmedian")
    ),
    *(
        Case(n, (GAPS,), {}, expect=quiet(getattr(np, n)))
        for n in ("nansum", "nanmean", "nanmax", "nanmedian", "nanvar")
    ),
    *(Case(n, (GAPS,), {"axis": 0}, expect=getattr(np, n)) for n in ("nancumsum", "nancumprod")),
    *(Case(n, (WHOLE,), {"axis": 0}, expect=getattr(np, n)) for n in ("nansum", "nanmax", "nanmean", "nanargmax")),
    Case("nanargmax", (GAPS,), {"axis": 1}, expect=nanarg(np.argmax)),
    Case("nanargmin", (GAPS,), {"axis": 1}, expect=nanarg(np.argmin)),
    *(
        Case("nanquantile", (GAPS, np.float32([0.1, 0.6])), {"axis": a, "method": m}, expect=quiet(np.nanquantile))
        for a, m in ((1, "linear"), (0, "lower"), (None, "higher"), (1, "midpoint"))
    ),
    Case("nanpercentile", (GAPS, 30.0), {"axis": 1, "keepdims": True}, expect=quiet(np.nanpercentile)),
    # -- order
    C("sort", X),
    C("sort", WHOLE, axis=0),
    C("sort", B),
    C("sort", np.uint16([3, 1, 2])),
    C("argsort", X, axis=1),
    Case("argsort", (np.int32([2, 1, 2, 1]),), {}, expect=lambda x: np.argsort(x, kind="stable")),
    Case("argpartition", (V, 3), {}, expect=lambda x, k: np.argsort(x)),
    Case("top_k", (X, 2), {}, expect=top_k),
    Case("top_k", (np.int32([[1, 3, 3, 2]]), 3), {}, expect=top_k),
    Case("in_top_k", (np.int32([0, 2, 1]), of(3, 5), 2), {}, expect=in_top_k),
    *(C("median", X, **k) for k in AXES),
    C("median", of(2, 4), axis=1),
    *(C("quantile", X, 0.3, method=m, **k) for m in ("linear", "nearest", "lower") for k in AXES),
    C("quantile", X, np.float32([0.0, 0.5, 1.0]), axis=(0, 2)),
    C("quantile", WHOLE.astype(np.float32), 0.75, axis=1, method="higher"),
    C("quantile", V, 0.4, method="midpoint"),
    C("percentile", X, 25.0, axis=1, keepdims=True),
    C("percentile", X, np.float32([10, 90])),
    *(C("searchsorted", SORTED, of(2, 3), side=s) for s in ("left", "right")),
    C("searchsorted", np.int32([1, 2, 2, 3]), np.int32([2, 0, 9])),
    C("digitize", of(2, 3), SORTED),
    replace(C("bincount", whole(8, low=0, high=5)), traced=False, why="how many numbers there are depends on the data"),
    C("bincount", whole(8, low=0, high=5), minlength=6),
    C("bincount", whole(8, low=0, high=5), weights=of(8), minlength=5),
    # -- signals
    Case("extract_sequences", (SIGNAL, 4, 3), {}, expect=windows),
    Case("fft", (WAVE,), {}, expect=lambda z: parts(np.fft.fft(z[0] + 1j * z[1]))),
    Case("fft2", ((of(2, 3, 4), of(2, 3, 4)),), {}, expect=lambda z: parts(np.fft.fft2(z[0] + 1j * z[1]))),
    Case("ifft2", ((of(2, 3, 4), of(2, 3, 4)),), {}, expect=lambda z: parts(np.fft.ifft2(z[0] + 1j * z[1]))),
    *(
        Case("rfft", (SIGNAL,), {"fft_length": n}, expect=lambda x, fft_length: parts(np.fft.rfft(x, fft_length)))
        for n in (None, 8, 15)
    ),
    *(
        Case(
            "irfft",
            ((of(2, 5), of(2, 5) * np.float32([0, 1, 1, 1, 0])),),
            {"fft_length": n},
            expect=lambda z, fft_length: np.fft.irfft(z[0] + 1j * z[1], fft_length),
        )
        for n in (None, 8, 7, 12)
    ),
    Case("stft", (SIGNAL, 4, 2, 6), {}, expect=stft),
    Case("stft", (SIGNAL[0], 4, 3, 4), SHORT, expect=stft),
    Case("istft", (stft(SIGNAL, 4, 2, 6), 4, 2, 6), {}, expect=lambda *_: SIGNAL),
    Case("istft", (stft(SIGNAL, 4, 2, 5), 4, 2, 5), {"length": 10}, expect=lambda *_, length: SIGNAL[:, :length]),
]
