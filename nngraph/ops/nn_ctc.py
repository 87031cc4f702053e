"""Connectionist temporal classification: sequences of labels from frames without an alignment.

Graves et al., "Connectionist temporal classification", 2006. A path gives every frame a class, one of them a blank; it
reads as the labels that are left when neighbouring equal classes are merged and then blanks dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nngraph.errors import unknown_name
from nngraph.ops.axes import ints, scalar, to_float
from nngraph.ops.control import scan_steps
from nngraph.ops.core import convert, dtype_of, shape, shape_vector, type_of
from nngraph.ops.dispatch import public
from nngraph.ops.trace import is_traced
from nngraph.ops.vjp import raw

__all__ = ["ctc_decode", "ctc_loss"]

IMPOSSIBLE = -1e5
"""The logarithm that stands for probability 0; it stays finite, and with it every gradient."""


def _or(*logs: Any) -> Any:
    """The logarithm of a sum of probabilities."""
    stacked = raw.Concat(*(raw.Unsqueeze(p, ints(0)) for p in logs), axis=0)
    return raw.ReduceLogSumExp(stacked, ints(0), keepdims=0)


def _later(x: Any, places: int) -> Any:
    """Move (batch, states) to the right, with impossible states coming in."""
    moved = raw.Pad(x, ints(0, places, 0, 0), scalar(IMPOSSIBLE, x))
    return raw.Slice(moved, ints(0), ints(-places), ints(1))


def _picked(x: Any, index: Any) -> Any:
    """x[b, index[b]] of (batch, states) and a vector."""
    return raw.Squeeze(raw.GatherElements(x, raw.Unsqueeze(index, ints(1)), axis=1), ints(1))


@public
def ctc_loss(target: Any, output: Any, target_length: Any, output_length: Any, mask_index: int = 0) -> Any:
    """Return -log of the probability that a path through the frames reads as the target.

    The forward recursion goes over the states blank, label, blank, label, ..., blank: a path stays, moves on by one,
    or leaves out a blank between two different labels.

    Args:
        target: class numbers (batch, labels); what lies beyond ``target_length`` does not matter.
        output: logits (batch, frames, classes).
        target_length, output_length: how many labels and frames each sequence has, (batch,).
        mask_index: the class that is the blank.

    Returns:
        The losses (batch,); about 1e5 where the target has no path.

    Raises:
        ValueError: ranks do not fit, or the number of labels is known only at run time.

    Example:
        >>> frames = np.log(np.float32([[[0.5, 0.5], [0.5, 0.5]]]))
        >>> print(ctc_loss([[1]], frames, [1], [2]).round(3))     # 3 of 4 paths read as the single label
        [0.288]
    """
    z = to_float(output)
    labels = convert(target, "int64")
    if type_of(z).rank != 3 or type_of(labels).rank != 2:
        raise ValueError(
            f"ctc_loss takes a target (batch, labels) and an output (batch, frames, classes), "
            f"got {type_of(labels)} and {type_of(z)}"
        )
    count = type_of(labels).shape[1]
    if not isinstance(count, int):
        raise ValueError(
            f"ctc_loss needs a known number of labels, got target {type_of(labels)}; pad it to a fixed size"
        )
    dtype = dtype_of(z)
    z = convert(z, "float32") if dtype in ("float16", "bfloat16") else z
    logp = raw.LogSoftmax(z, axis=2)
    batch, frames, _ = shape(logp)

    # State 2 k + 1 is label k, every even one a blank.
    apart = raw.Pad(raw.Unsqueeze(labels, ints(2)), ints(0, 0, 1, 0, 0, 0), np.asarray(mask_index, np.int64))
    states = raw.Pad(
        raw.Reshape(apart, shape_vector([batch, 2 * count])), ints(0, 0, 0, 1), np.asarray(mask_index, np.int64)
    )
    before = raw.Pad(states, ints(0, 2, 0, 0), np.asarray(mask_index, np.int64))
    before = raw.Slice(before, ints(0), ints(-2), ints(1))
    blank = raw.Equal(states, np.asarray(mask_index, np.int64))
    may_skip = raw.Not(raw.Or(blank, raw.Equal(states, before)))
    barred = raw.Mul(raw.Cast(raw.Not(may_skip), to=dtype_of(logp)), IMPOSSIBLE)

    places = raw.Expand(raw.Unsqueeze(states, ints(1)), shape_vector([batch, frames, 2 * count + 1]))
    emitted = raw.Transpose(raw.GatherElements(logp, places, axis=2), perm=(1, 0, 2))
    times = raw.Unsqueeze(raw.Range(np.int64(0), convert(frames, "int64"), np.int64(1)), ints(1, 2))
    lengths = raw.Unsqueeze(convert(output_length, "int64"), ints(0, 2))
    running = raw.Cast(raw.Less(times, lengths), to=dtype_of(logp))

    def step(carried: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        alpha, (frame, runs) = carried[0], slices
        on = raw.Add(frame, _or(alpha, _later(alpha, 1), raw.Add(_later(alpha, 2), barred)))
        # Beyond its last frame a sequence stays as it is.
        return [raw.Add(raw.Mul(on, runs), raw.Mul(alpha, raw.Sub(1, runs)))], []

    # Before the first frame only a state in front of the first blank is possible: it moves on to states 0 and 1.
    start = np.full((1, 2 * count + 1), IMPOSSIBLE)
    start[0, 0] = 0
    first = raw.Expand(convert(start, dtype_of(logp)), shape_vector([batch, 2 * count + 1]))
    (alpha,), _ = scan_steps(step, [first], [emitted, running])

    last = raw.Mul(convert(target_length, "int64"), np.asarray(2, np.int64))
    at_blank = _picked(alpha, last)
    empty = raw.Cast(raw.Equal(last, np.asarray(0, np.int64)), to=dtype_of(logp))
    at_label = _picked(alpha, raw.Max(raw.Sub(last, np.asarray(1, np.int64)), np.asarray(0, np.int64)))
    total = _or(at_blank, raw.Add(at_label, raw.Mul(empty, IMPOSSIBLE)))
    return convert(raw.Neg(total), dtype)


# -- decoding -------------------------------------------------------------------------------------------------------


@public
def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Any, Any]:
    """Return the labels that frames read as.

    Args:
        inputs: logits (batch, frames, classes).
        sequence_lengths: how many frames each sequence has, (batch,).
        strategy: ``"greedy"`` takes the best class of every frame; ``"beam_search"`` keeps the ``beam_width`` likeliest
            beginnings, and works on arrays only.
        beam_width, top_paths: how many beginnings are kept, and how many readings returned, by the beam search.
        merge_repeated: whether neighbouring equal classes are one label.
        mask_index: the class that is the blank.

    Returns:
        The labels (paths, batch, frames) as int32, -1 after the end, and scores (batch, paths): for the greedy strategy
        minus the sum of the best logits, for the beam search the logarithm of each reading's probability.

    Raises:
        ValueError: an option is unknown.
        TypeError: a beam search is traced.

    Example:
        >>> frames = np.float32([[[0, 5, 0], [0, 5, 0], [5, 0, 0], [0, 0, 5]]])
        >>> ctc_decode(frames, [4])[0].tolist()
        [[[1, 2, -1, -1]]]
    """
    if strategy not in ("greedy", "beam_search"):
        raise unknown_name("strategy", strategy, ("greedy", "beam_search"))
    z = to_float(inputs)
    if type_of(z).rank != 3:
        raise ValueError(f"ctc_decode takes inputs (batch, frames, classes), got {type_of(z)}")
    if strategy == "greedy":
        return _greedy(z, convert(sequence_lengths, "int64"), merge_repeated, mask_index)
    if is_traced(inputs, sequence_lengths):
        raise TypeError('ctc_decode(strategy="beam_search") works on arrays only; call it outside, or use "greedy"')
    return _beam_search(np.asarray(z), np.asarray(sequence_lengths), beam_width, top_paths, mask_index)


def _greedy(z: Any, lengths: Any, merge_repeated: bool, mask_index: int) -> tuple[Any, Any]:
    frames = shape(z)[1]
    classes = raw.ArgMax(z, axis=2, keepdims=0)
    times = raw.Unsqueeze(raw.Range(np.int64(0), convert(frames, "int64"), np.int64(1)), ints(0))
    running = raw.Less(times, raw.Unsqueeze(lengths, ints(1)))
    kept = raw.And(running, raw.Not(raw.Equal(classes, np.asarray(mask_index, np.int64))))
    if merge_repeated:
        before = raw.Slice(raw.Pad(classes, ints(0, 1, 0, 0), np.asarray(-1, np.int64)), ints(0), ints(-1), ints(1))
        kept = raw.And(kept, raw.Not(raw.Equal(classes, before)))
    # Each label goes to the place of its number among the kept; the others to one place more, which is cut off.
    number = raw.Sub(raw.CumSum(raw.Cast(kept, to="int64"), np.asarray(1, np.int64)), np.asarray(1, np.int64))
    place = raw.Where(kept, number, raw.Expand(convert(frames, "int64"), raw.Shape(number)))
    blank = raw.Expand(np.asarray(-1, np.int64), raw.Add(raw.Shape(classes), ints(0, 1)))
    labels = raw.Slice(raw.ScatterElements(blank, place, classes, axis=1), ints(0), ints(-1), ints(1))
    best = raw.Mul(raw.ReduceMax(z, ints(2), keepdims=0), raw.Cast(running, to=dtype_of(z)))
    return raw.Cast(raw.Unsqueeze(labels, ints(0)), to="int32"), raw.Neg(raw.ReduceSum(best, ints(1), keepdims=1))


def _beam_search(
    z: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any], width: int, paths: int, blank: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    batch, frames, _ = z.shape
    labels = np.full((paths, batch, frames), -1, np.int32)
    scores = np.full((batch, paths), -np.inf, z.dtype)
    logp = z - np.logaddexp.reduce(z.astype(np.float64), axis=2, keepdims=True)
    for b in range(batch):
        for k, (reading, score) in enumerate(_beams(logp[b, : int(lengths[b])], width, blank)[:paths]):
            labels[k, b, : len(reading)] = reading
            scores[b, k] = score
    return labels, scores


def _beams(logp: np.ndarray[Any, Any], width: int, blank: int) -> list[tuple[tuple[int, ...], float]]:
    """Return the likeliest readings of some frames, best first.

    A beginning carries two probabilities, of paths that end in a blank and of those that end in its last label: only
    the former may repeat that label as a new one. Hannun, "Sequence modeling with CTC", 2017.
    """
    nothing = -np.inf
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, nothing)}
    for frame in logp:
        grown: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(reading: tuple[int, ...], at_blank: float, at_label: float, grown: Any = grown) -> None:
            old = grown.get(reading, (nothing, nothing))
            grown[reading] = (np.logaddexp(old[0], at_blank), np.logaddexp(old[1], at_label))

        for reading, (at_blank, at_label) in beams.items():
            both = np.logaddexp(at_blank, at_label)
            for label, p in enumerate(frame):
                if label == blank:
                    add(reading, both + p, nothing)
                elif reading and label == reading[-1]:
                    add(reading, nothing, at_label + p)
                    add((*reading, label), nothing, at_blank + p)
                else:
                    add((*reading, label), nothing, both + p)
        ranked = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))
        beams = dict(ranked[:width])
    return [(reading, float(np.logaddexp(*p))) for reading, p in beams.items()]
