"""Branches and loops, named as in ``keras.ops``: If, Loop and Scan in a graph, plain Python on arrays."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph import tree
from nngraph.ir import Dim, TensorType, Value
from nngraph.ir.types import dims_compatible
from nngraph.ops.core import convert, dtype_of, shape_vector
from nngraph.ops.dispatch import public
from nngraph.ops.loop_motion import hoist_invariants, hoist_steps
from nngraph.ops.subgraph import as_value, trace_body
from nngraph.ops.trace import apply, current_trace, is_traced

__all__ = [
    "associative_scan",
    "cond",
    "fori_loop",
    "map",
    "scan",
    "scan_steps",
    "switch",
    "vectorized_map",
    "while_loop",
]


def _is_tensor(x: Any) -> bool:
    """Whether a leaf is something a graph carries; ``None`` and text keep their places outside of it."""
    return x is not None and not isinstance(x, str)


def _array_of(x: Any) -> Any:
    """A Python number as an array in the dtype that it has in a graph; everything else as it is."""
    return convert(x) if isinstance(x, (bool, int, float)) else x


def _tracing(*structures: Any) -> bool:
    """Whether a graph must be recorded: a trace is open and something is not known now."""
    return current_trace() is not None and builtins.any(is_traced(x) for s in structures for x in tree.flatten(s))


def _described(structure: Any) -> str:
    return str(tree.map_structure(lambda x: str(getattr(x, "type", x)) if _is_tensor(x) else x, structure))


# -- branches -------------------------------------------------------------------------------------------------------


@public
def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """Return ``true_fn()`` or ``false_fn()``; in a graph only the chosen branch is computed.

    Args:
        pred: a truth value, a scalar.
        true_fn, false_fn: functions of no arguments that return the same structure of tensors.

    Raises:
        ValueError: the predicate is no scalar, or the branches return different structures, dtypes or ranks.

    Example:
        >>> float(cond(np.float32(3) > 2, lambda: np.float32(1), lambda: np.float32(0)))
        1.0
    """
    if not _tracing(pred):
        return true_fn() if bool(np.asarray(pred).reshape(())) else false_fn()
    if builtins.any(d != 1 for d in pred.shape):
        raise ValueError(f"cond: the predicate must be a scalar, got shape {tuple(pred.shape)}; reduce it with ops.any")
    found: list[Any] = []

    def branch(fn: Callable[[], Any]) -> Callable[[], list[tuple[Any, str | None]]]:
        def run() -> list[tuple[Any, str | None]]:
            found.append(fn())
            dtypes: list[str | None] = [None] * len(tree.flatten(found[-1]))
            if len(found) == 2 and len(tree.flatten(found[0])) == len(dtypes):
                dtypes = [dtype_of(x) if _is_tensor(x) else None for x in tree.flatten(found[0])]
            return [(x, d) for x, d in zip(tree.flatten(found[-1]), dtypes, strict=True) if _is_tensor(x)]

        return run

    then = trace_body("then_branch", [], branch(true_fn))
    other = trace_body("else_branch", [], branch(false_fn))
    try:
        tree.assert_same_structure(found[0], found[1])
    except ValueError:
        raise ValueError(
            f"cond: true_fn returns {_described(found[0])} and false_fn returns {_described(found[1])}; "
            "both must return the same structure"
        ) from None
    count = len(then.outputs)
    for a, b in zip(then.outputs, other.outputs, strict=True):
        if (a.dtype, a.ndim) != (b.dtype, b.ndim):
            raise ValueError(f"cond: the branches return {a.type} and {b.type}; they must have the same dtype and rank")
    results: Any = ()
    if count:
        flag = apply("Reshape", convert(pred, "bool"), np.array([], np.int64)) if pred.shape else convert(pred, "bool")
        results = apply("If", flag, outputs=count, then_branch=then, else_branch=other)
    return _refilled(found[0], (results,) if count == 1 else results)


def _refilled(structure: Any, values: Sequence[Any]) -> Any:
    """Return the structure with its tensors replaced in order."""
    rest = iter(values)
    return tree.map_structure(lambda x: next(rest) if _is_tensor(x) else x, structure)


@public
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Return ``branches[index](*operands)``, the index limited to those that exist.

    Args:
        index: an integer scalar.
        branches: functions that return the same structure of tensors.
        operands: what the functions are called with.

    Example:
        >>> float(switch(1, [lambda x: x + 1, lambda x: x * 10], np.float32(4)))
        40.0
    """
    if not branches:
        raise ValueError("switch needs at least one branch")
    last = len(branches) - 1
    if not _tracing(index):
        return branches[min(max(int(np.asarray(index)), 0), last)](*operands)
    number = convert(index, "int32")

    def choose(low: int, high: int) -> Any:
        if low == high:
            return branches[low](*operands)
        middle = (low + high) // 2
        return cond(
            apply("LessOrEqual", number, np.int32(middle)),
            lambda: choose(low, middle),
            lambda: choose(middle + 1, high),
        )

    return choose(0, last)


# -- loops ----------------------------------------------------------------------------------------------------------


def _as_list(vars: Any) -> list[Any]:
    return list(vars) if isinstance(vars, (list, tuple)) else [vars]


@public
def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """Repeat ``loop_vars = body(*loop_vars)`` while ``cond(*loop_vars)`` holds.

    Args:
        cond: returns a scalar truth value.
        body: returns new loop variables, with the same structure and dtypes.
        loop_vars: a tensor, or a list or tuple of structures of tensors.
        maximum_iterations: stop after so many rounds.

    Raises:
        ValueError: the body changes the structure, a dtype or a rank.

    Example:
        >>> int(while_loop(lambda i: i < 10, lambda i: i + 3, np.int32(0)))
        12
    """
    single = not isinstance(loop_vars, (list, tuple))
    start = _as_list(loop_vars)
    if current_trace() is None:
        return _looped(cond, body, loop_vars, maximum_iterations)
    first = [as_value(x) for x in tree.flatten(start)]
    dtypes = [v.dtype for v in first]

    def step(count: Value, going: Value, *state: Value) -> list[tuple[Any, str | None]]:
        new = _as_list(body(*tree.pack_sequence_as(start, state)))
        flat = _checked_state("while_loop", start, new, first)
        return [(convert(cond(*new), "bool"), "bool"), *zip(flat, dtypes, strict=True)]

    going = convert(cond(*tree.pack_sequence_as(start, first)), "bool")
    limit = None if maximum_iterations is None else np.int64(maximum_iterations)
    results = _record_loop(limit, going, first, step)
    packed = tree.pack_sequence_as(start, results)
    return packed[0] if single else type(loop_vars)(packed)


def _looped(cond: Any, body: Any, loop_vars: Any, maximum_iterations: int | None) -> Any:
    single = not isinstance(loop_vars, (list, tuple))
    state, rounds = tree.map_structure(_array_of, _as_list(loop_vars)), 0
    while bool(np.asarray(cond(*state)).reshape(())) and (maximum_iterations is None or rounds < maximum_iterations):
        state, rounds = _as_list(body(*state)), rounds + 1
    return state[0] if single else type(loop_vars)(state)


def _record_loop(limit: Any, going: Any, first: Sequence[Value], step: Callable[..., Any]) -> list[Value]:
    inputs = [("count", TensorType("int64", ())), ("going", TensorType("bool", ()))]
    body = trace_body("loop_body", [*inputs, *(("state", v.type) for v in first)], step)
    hoist_invariants(body)
    types = [v.type for v in first]
    results = apply("Loop", limit, going, *first, outputs=len(first), types=types, body=body)
    return [results] if len(first) == 1 else list(results)


def _checked_state(what: str, structure: Any, new: Any, first: Sequence[Value]) -> list[Any]:
    """Return the flat new state of a loop, after comparing it with what the loop started from."""
    flat = tree.flatten(new)
    problem = f"it has {len(flat)} tensors instead of {len(first)}" if len(flat) != len(first) else ""
    for k, (x, old) in enumerate(zip(flat, first, strict=False)):
        if isinstance(x, (bool, int, float)) and not isinstance(x, np.generic):
            continue
        if problem or not hasattr(x, "dtype"):
            continue
        if dtype_of(x) != old.dtype or not _fits(x.shape, old.shape):
            problem = f"tensor {k} is {dtype_of(x)} of shape {tuple(x.shape)} instead of {old.type}"
    if problem:
        raise ValueError(f"{what}: the body must return a state like the one it starts from; {problem}")
    return flat


def _fits(new: Sequence[Any], old: Sequence[Dim]) -> bool:
    return len(new) == len(old) and builtins.all(dims_compatible(a, b) for a, b in zip(new, old, strict=True))


@public
def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """Repeat ``val = body_fun(i, val)`` for ``i`` from ``lower`` to ``upper - 1``.

    Args:
        lower, upper: integers, or integer scalars.
        body_fun: takes the index and the value, and returns a value of the same structure and dtypes.
        init_val: a tensor or a structure of tensors.

    Example:
        >>> int(fori_loop(0, 5, lambda i, v: v + i, np.int32(0)))
        10
    """
    if current_trace() is None:
        value = tree.map_structure(_array_of, init_val)
        for i in range(int(np.asarray(lower)), int(np.asarray(upper))):
            value = body_fun(np.int32(i), value)
        return value
    first = [as_value(x) for x in tree.flatten(init_val)]
    dtypes = [v.dtype for v in first]
    start = convert(lower, "int32")

    def step(count: Value, going: Value, *state: Value) -> list[tuple[Any, str | None]]:
        index = apply("Add", apply("Cast", count, to="int32"), start)
        new = body_fun(index, tree.pack_sequence_as(init_val, state))
        return [(np.bool_(True), None), *zip(_checked_state("fori_loop", init_val, new, first), dtypes, strict=True)]

    rounds = apply("Sub", convert(upper, "int64"), convert(lower, "int64"))
    limit = apply("Max", rounds, np.int64(0))
    results = _record_loop(limit, np.bool_(True), first, step)
    return tree.pack_sequence_as(init_val, results)


# -- scans ----------------------------------------------------------------------------------------------------------

Step = Callable[[list[Any], list[Any]], tuple[Sequence[Any], Sequence[Any]]]


def scan_steps(
    fn: Step, init: Sequence[Any], xs: Sequence[Any], *, reverse: bool = False, unroll: bool = False
) -> tuple[list[Any], list[Any]]:
    """Carry a state over the steps of some tensors: the flat form of :func:`scan`, on which the others stand.

    Args:
        fn: takes the list of states and the list of this step's slices; returns the new states and this step's outputs.
        init: the first states.
        xs: tensors with the steps along axis 0; at least one.
        reverse: go from the last step to the first; outputs stay in the order of the steps.
        unroll: write the steps out one after the other instead of recording a loop.

    Returns:
        The last states, and the outputs stacked along axis 0.

    Raises:
        ValueError: the number of steps differs or, to unroll, is not known; a state changes its shape or dtype.
    """
    if current_trace() is None:
        return _scanned(fn, init, xs, reverse)
    if unroll:
        return _unrolled(fn, init, xs, reverse)
    first, steps = [as_value(x) for x in init], [as_value(x) for x in xs]
    lengths = {v.shape[0] for v in steps if isinstance(v.shape[0], int)}
    if len(lengths) > 1:
        raise ValueError(f"scan: the tensors have different numbers of steps: {sorted(lengths)}")
    dtypes: list[str | None] = [v.dtype for v in first]

    def step(*values: Value) -> list[tuple[Any, str | None]]:
        states, ys = fn(list(values[: len(first)]), list(values[len(first) :]))
        flat = _checked_state("scan", init, list(states), first)
        return [*zip(flat, dtypes, strict=True), *((y, None) for y in ys)]

    inputs = [("state", v.type) for v in first] + [("step", v.type.with_shape(v.shape[1:])) for v in steps]
    body = trace_body("scan_body", inputs, step)
    hoist_invariants(body)
    # Steps and their order are the same for all inputs, so the stacks line up whichever way the loop goes.
    steps = list(hoist_steps(body, dict(zip(body.inputs[len(first) :], steps, strict=True))).values())
    count = len(body.outputs)
    ways: dict[str, Any] = {"scan_input_directions": (1,) * len(steps)}
    if count > len(first):
        ways["scan_output_directions"] = (1,) * (count - len(first))
    stacked = [v.type.with_shape((steps[0].shape[0], *v.shape)) for v in body.outputs[len(first) :]]
    results = apply(
        "Scan",
        *first,
        *steps,
        outputs=count,
        types=[*(v.type for v in first), *stacked],
        body=body,
        num_scan_inputs=len(steps),
        **(ways if reverse else {}),
    )
    results = [results] if count == 1 else list(results)
    return results[: len(first)], results[len(first) :]


def _unrolled(fn: Step, init: Sequence[Any], xs: Sequence[Any], reverse: bool) -> tuple[list[Any], list[Any]]:
    length = xs[0].shape[0]
    if not isinstance(length, int):
        raise ValueError("scan: only a known number of steps can be unrolled; it is known only at run time here")
    states, rows = list(init), []
    for k in reversed(range(length)) if reverse else range(length):
        new, ys = fn(states, [apply("Gather", x, np.array(k), axis=0) for x in xs])
        states = list(new)
        rows.append(list(ys))
    if reverse:
        rows.reverse()
    parts = [[apply("Unsqueeze", as_value(y), np.array([0])) for y in column] for column in zip(*rows, strict=True)]
    return states, [apply("Concat", *part, axis=0) for part in parts]


def _scanned(fn: Step, init: Sequence[Any], xs: Sequence[Any], reverse: bool) -> tuple[list[Any], list[Any]]:
    arrays = [np.asarray(x) for x in xs]
    length = len(arrays[0])
    states, rows = [np.asarray(convert(x)) for x in init], []
    for k in reversed(range(length)) if reverse else range(length):
        new, ys = fn(states, [a[k] for a in arrays])
        states = [np.asarray(s, old.dtype) for s, old in zip(new, states, strict=True)]
        rows.append([np.asarray(y) for y in ys])
    if not rows:
        raise ValueError("scan: arrays without a single step have no outputs; trace the function to get empty ones")
    if reverse:
        rows.reverse()
    return states, [np.stack(column) for column in zip(*rows, strict=True)]


@public
def scan(
    f: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> Any:
    """Carry a state over the steps of some tensors and collect an output of each step.

    Args:
        f: takes the carry and a slice of ``xs``; returns the new carry, of the same structure and dtypes, and the
            step's output (``None`` for nothing).
        init: the first carry.
        xs: a structure of tensors with the steps along axis 0; ``None`` when the steps need no input.
        length: the number of steps, needed without ``xs``.
        reverse: go from the last step to the first; outputs stay in the order of the steps.
        unroll: ``True`` writes the steps out one after the other; a number is accepted and keeps the loop.

    Returns:
        The last carry, and the outputs stacked along axis 0.

    Raises:
        ValueError: neither ``xs`` nor ``length`` is given, they disagree, or ``f`` changes the carry's form.

    Example:
        >>> carry, sums = scan(lambda c, x: (c + x, c + x), np.float32(0), np.float32([1, 2, 3]))
        >>> float(carry), sums.tolist()
        (6.0, [1.0, 3.0, 6.0])
    """
    flat = [x for x in tree.flatten(xs) if _is_tensor(x)] if xs is not None else []
    if not flat and length is None:
        raise ValueError("scan: without xs the number of steps must be given as length=")
    if flat and length is not None:
        given = flat[0].shape[0]
        if isinstance(given, int) and given != length:
            raise ValueError(f"scan: length={length}, but xs has {given} steps")
    found: list[Any] = []

    def step(states: list[Any], slices: list[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        x = _refilled(xs, slices) if flat else None
        result = f(tree.pack_sequence_as(init, states), x)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ValueError(f"scan: the function must return a pair (carry, output), got {type(result).__name__}")
        carry, y = result
        found.append(y)
        return tree.flatten(carry), [v for v in tree.flatten(y) if _is_tensor(v)]

    steps = flat or [np.arange(length or 0, dtype=np.int32)]
    states, ys = scan_steps(step, tree.flatten(init), steps, reverse=reverse, unroll=unroll is True)
    return tree.pack_sequence_as(init, states), _refilled(found[-1], ys)


@public
def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """Return ``f`` of each slice along axis 0, stacked.

    Args:
        f: a function of one slice of ``xs``.
        xs: a tensor or a structure of tensors.

    Example:
        >>> map(lambda x: x * x, np.float32([1, 2, 3])).tolist()
        [1.0, 4.0, 9.0]
    """
    _, ys = scan(lambda _, x: ((), f(x)), (), xs)
    return ys


@public
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """Return ``function`` of each slice along axis 0, stacked; the slices are computed one after the other.

    Args:
        function: a function of one slice of ``elements``.
        elements: a tensor or a structure of tensors.

    Example:
        >>> vectorized_map(lambda x: x.sum(), np.float32([[1, 2], [3, 4]])).tolist()
        [3.0, 7.0]
    """
    return map(function, elements)


@public
def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """Return all running combinations of an associative function, in a logarithmic number of rounds.

    Args:
        f: combines two structures like ``elems``, elementwise along ``axis``, and is associative.
        elems: a tensor or a structure of tensors with a known size along ``axis``.
        reverse: combine from the end.
        axis: the axis to run along.

    Raises:
        ValueError: the size along the axis is not known.

    Each round combines every element with the one ``2**k`` places before it (Hillis and Steele, 1986).

    Example:
        >>> associative_scan(lambda a, b: a + b, np.float32([1, 2, 3, 4])).tolist()
        [1.0, 3.0, 6.0, 10.0]
    """
    flat = [convert(x) for x in tree.flatten(elems)]
    axes = [axis % len(x.shape) for x in flat]
    length = flat[0].shape[axes[0]]
    if not isinstance(length, int):
        raise ValueError(
            f"associative_scan: the size of axis {axis} must be known, got {length!r}; use ops.scan instead"
        )

    def part(xs: list[Any], start: int, stop: int) -> list[Any]:
        return [
            apply("Slice", x, shape_vector([start]), shape_vector([stop]), np.array([a]))
            for x, a in zip(xs, axes, strict=True)
        ]

    shift = 1
    while shift < length:
        early, late = part(flat, 0, length - shift), part(flat, shift, length)
        pair = (late, early) if reverse else (early, late)
        first, second = (tree.pack_sequence_as(elems, p) for p in pair)
        combined = [convert(x) for x in tree.flatten(f(first, second))]
        kept = part(flat, length - shift, length) if reverse else part(flat, 0, shift)
        flat = [
            apply("Concat", *((c, k) if reverse else (k, c)), axis=a)
            for c, k, a in zip(combined, kept, axes, strict=True)
        ]
        shift *= 2
    return tree.pack_sequence_as(elems, flat)
