"""CTC against all paths: every way to give each frame a class is read and counted."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest

from nngraph import ops
from nngraph.ir import TensorType
from nngraph.ops import raw
from nngraph.ops.trace import run_traced, trace_graph
from nngraph.runtime import Session
from passes.autodiff import append_gradients

LOGITS = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
TARGET = np.array([[1, 2, 2], [3, 0, 0], [2, 2, 1]])
LABELS, FRAMES = np.array([3, 1, 2]), np.array([5, 3, 4])


def read(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    merged = [c for k, c in enumerate(path) if k == 0 or c != path[k - 1]]
    return tuple(c for c in merged if c != blank)


def readings(logits: np.ndarray, blank: int) -> dict[tuple[int, ...], float]:
    """The probability of every reading of some frames."""
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(-1, keepdims=True)
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        found[read(path, blank)] += float(np.prod([p[t, c] for t, c in enumerate(path)]))
    return found


def expected_losses(blank: int) -> list[float]:
    rows = zip(TARGET, LOGITS, LABELS, FRAMES, strict=True)
    return [-np.log(readings(z[:frames], blank)[tuple(t[:labels])]) for t, z, labels, frames in rows]


def test_loss_is_that_of_all_paths() -> None:
    np.testing.assert_allclose(ops.ctc_loss(TARGET, LOGITS, LABELS, FRAMES), expected_losses(0), rtol=1e-5)
    swapped = np.where(TARGET == 3, 0, TARGET)
    rows = zip(swapped, LOGITS, LABELS, FRAMES, strict=True)
    expected = [-np.log(readings(z[:f], 3)[tuple(t[:n])]) for t, z, n, f in rows]
    np.testing.assert_allclose(ops.ctc_loss(swapped, LOGITS, LABELS, FRAMES, mask_index=3), expected, rtol=1e-5)


def test_loss_of_nothing_and_of_the_impossible() -> None:
    losses = ops.ctc_loss(TARGET, LOGITS, np.array([0, 1, 3]), np.array([5, 1, 2]))
    assert losses[0] == pytest.approx(-np.log(readings(LOGITS[0], 0)[()]), rel=1e-5)
    assert losses[1] == pytest.approx(-np.log(readings(LOGITS[1, :1], 0)[(3,)]), rel=1e-5)
    assert losses[2] > 9e4


def test_loss_in_a_graph_with_named_sizes_and_its_gradient() -> None:
    """The gradient of a sum over frames: what moves a frame's class moves the loss by p - (share of paths)."""
    types = [TensorType("float32", ("batch", "time", 4)), TensorType("int64", ("batch", 3))]
    lengths = [TensorType("int64", ("batch",))] * 2

    def body(z, t, labels, frames):
        loss = ops.ctc_loss(t, z, labels, frames)
        return [loss, *append_gradients([raw.ReduceSum(loss, keepdims=0)], [z])]

    graph, _, found = trace_graph(body, [*types, *lengths])
    graph.set_outputs(found, ["loss", "gradient"])
    feeds = dict(zip(("x0", "x1", "x2", "x3"), (LOGITS, TARGET, LABELS, FRAMES), strict=True))
    results = Session(graph, "cpu").run(feeds)
    np.testing.assert_allclose(results["loss"], expected_losses(0), rtol=1e-5)
    assert np.all(results["gradient"][1, 3:] == 0), "frames beyond the end do not matter"
    # Logits may be shifted frame by frame without a change.
    np.testing.assert_allclose(results["gradient"].sum(-1), 0, atol=1e-6)
    step = 1e-2 * results["gradient"]
    ahead, behind = (ops.ctc_loss(TARGET, LOGITS + s * step, LABELS, FRAMES).sum() for s in (1, -1))
    assert ahead - behind == pytest.approx(2 * np.vdot(step, results["gradient"]), rel=1e-2)


def test_greedy_reads_the_best_path() -> None:
    labels, scores = ops.ctc_decode(LOGITS, FRAMES)
    for b, frames in enumerate(FRAMES):
        best = LOGITS[b, :frames].argmax(-1)
        expected = read(tuple(best), 0)
        assert [c for c in labels[0, b] if c >= 0] == list(expected)
        assert scores[b, 0] == pytest.approx(-LOGITS[b, :frames].max(-1).sum(), rel=1e-5)
    traced = run_traced(lambda z: ops.ctc_decode(z, FRAMES), LOGITS)
    assert np.array_equal(traced[0], labels)
    unmerged, _ = ops.ctc_decode(np.float32([[[0, 5], [0, 5]]]), [2], merge_repeated=False)
    assert unmerged.tolist() == [[[1, 1]]]


def test_a_wide_beam_finds_the_likeliest_readings() -> None:
    labels, scores = ops.ctc_decode(LOGITS, FRAMES, strategy="beam_search", beam_width=500, top_paths=3)
    for b, frames in enumerate(FRAMES):
        ranked = sorted(readings(LOGITS[b, :frames], 0).items(), key=lambda item: -item[1])[:3]
        assert [tuple(c for c in labels[k, b] if c >= 0) for k in range(3)] == [r for r, _ in ranked]
        np.testing.assert_allclose(scores[b], [np.log(p) for _, p in ranked], rtol=1e-4)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match=r"strategy 'greedi'\. Did you mean 'greedy'"):
        ops.ctc_decode(LOGITS, FRAMES, strategy="greedi")
    with pytest.raises(TypeError, match="works on arrays only"):
        ops.ctc_decode(ops.KerasTensor((None, 5, 4)), FRAMES, strategy="beam_search")
    with pytest.raises(ValueError, match="known number of labels"):
        ops.ctc_loss(ops.KerasTensor((2, None), "int64"), LOGITS[:2], LABELS[:2], FRAMES[:2])
    with pytest.raises(ValueError, match="a target"):
        ops.ctc_loss(TARGET[0], LOGITS, LABELS, FRAMES)
