"""Traced functions and their gradients: ``function``, ``grad``, ``value_and_grad``, ``gradients``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nngraph import config
from nngraph.ir import Graph, TensorType, Value, numpy_dtype
from nngraph.ops.keras_tensor import leaves, map_leaves
from nngraph.ops.trace import Trace, apply, current_trace
from nngraph.ops.variable import Variable
from nngraph.runtime import BoundCall, Session, resolve_device
from passes import PassManager, pipeline
from passes.autodiff import append_gradients
from passes.recompute import recompute_passes

__all__ = ["CompiledFunction", "compile_graph", "function", "grad", "gradients", "value_and_grad"]


def compile_graph(
    graph: Graph,
    device: str | None = None,
    *,
    level: int = 2,
    target: str | None = None,
    capture: bool = False,
    share: bool = True,
    recompute: Any = None,
) -> Session:
    """Run the pass pipeline on a graph (in place) and return a session for it.

    Args:
        graph: the graph.
        device: where it runs; the configured device by default.
        level: see :func:`passes.pipeline`.
        target: whose forms the passes choose; the device's by default.
        recompute: see ``Model.compile``.
        capture, share: see :class:`nngraph.runtime.Session`.
    """
    device = resolve_device(device or config.device())
    unroll = config.cuda_unroll() if capture and device == "cuda" and config.cuda_graphs() else 0
    # Nothing may run after the last pass: equal nodes would be merged again.
    PassManager([*pipeline(target or device, level, unroll=unroll), *recompute_passes(recompute)]).run(graph)
    return Session(graph, device, capture=capture, share=share)


def _is_array(x: Any) -> bool:
    return isinstance(x, float) or (hasattr(x, "dtype") and hasattr(x, "shape") and not isinstance(x, Variable))


def _array(x: Any) -> np.ndarray[Any, Any]:
    """Return an argument as an array; a Python float (numpy's float64 is a subclass) becomes float32."""
    return np.asarray(x, np.float32 if type(x) is float else None)


class CompiledFunction:
    """A Python function that is traced once for each signature and then runs as one graph.

    Arrays and Python floats among the arguments (also inside lists, tuples and dicts) become graph inputs; everything
    else is fixed at tracing and part of the signature. Variables that the function reads are state; what it assigns is
    written back. Called inside another trace, the function is simply recorded there.
    """

    def __init__(self, fn: Callable[..., Any], device: str | None = None) -> None:
        functools.update_wrapper(self, fn)
        self._fn = fn
        self._device = device
        self._compiled: dict[Any, tuple[BoundCall, Any]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_trace() is not None:
            return self._fn(*args, **kwargs)
        arrays = [_array(x) for x in self._arrays(args, kwargs)]
        key = self._signature(args, kwargs, arrays)
        if key not in self._compiled:
            self._compiled[key] = self._compile(args, kwargs, arrays)
        call, structure = self._compiled[key]
        results = call(arrays)
        return map_leaves(lambda x: results[x.position] if isinstance(x, _Slot) else x, structure)

    @staticmethod
    def _arrays(args: Any, kwargs: Any) -> list[Any]:
        return [x for x in leaves((args, kwargs)) if _is_array(x)]

    @staticmethod
    def _signature(args: Any, kwargs: Any, arrays: Sequence[np.ndarray[Any, Any]]) -> Any:
        fixed = map_leaves(lambda x: "<array>" if _is_array(x) else (id(x) if callable(x) else x), (args, kwargs))
        return repr(fixed), tuple((a.dtype.str, a.shape) for a in arrays)

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """Return the graph that a call with these arguments traces, before any pass."""
        arrays = [_array(x) for x in self._arrays(args, kwargs)]
        return self._trace(args, kwargs, arrays)[0]

    def _trace(self, args: Any, kwargs: Any, arrays: Sequence[np.ndarray[Any, Any]]) -> tuple[Graph, Trace, Any]:
        graph = Graph(getattr(self._fn, "__name__", "function").strip("<>"))
        inputs = iter([graph.add_input(f"x{k}", TensorType.of(a)) for k, a in enumerate(arrays)])
        with Trace(graph) as trace:
            traced_args, traced_kwargs = map_leaves(lambda x: next(inputs) if _is_array(x) else x, (args, kwargs))
            result = self._fn(*traced_args, **traced_kwargs)
            outputs: list[Value] = []

            def keep(x: Any) -> Any:
                if not isinstance(x, (Value, Variable)) and not hasattr(x, "dtype"):
                    return x
                value = trace.read(x) if isinstance(x, Variable) else x
                outputs.append(value if isinstance(value, Value) else trace.constant(np.asarray(value)))
                return _Slot(len(outputs) - 1)

            structure = map_leaves(keep, result)
        names = [f"y{k}" for k in range(len(outputs))]
        state = [trace.variables[v] for v in trace.assigned]
        graph.set_outputs([*outputs, *state], [*names, *(f"new_{trace.sources[v].name}" for v in trace.assigned)])
        return graph, trace, structure

    def _compile(self, args: Any, kwargs: Any, arrays: Sequence[np.ndarray[Any, Any]]) -> tuple[BoundCall, Any]:
        graph, trace, structure = self._trace(args, kwargs, arrays)
        data = [v.name for v in graph.inputs[: len(arrays)]]
        results = [n for n in graph.output_names if n[0] == "y" and n[1:].isdigit()]
        session = compile_graph(graph, self._device)
        return BoundCall(session, state_of(trace), data, results), structure


class _Slot:
    """Marks the place of an output in a result's structure."""

    def __init__(self, position: int) -> None:
        self.position = position


def state_of(trace: Trace) -> list[tuple[str, str | None, Any]]:
    """Return (input name, output name or ``None``, cell) of each variable that a trace met."""
    return [
        (value.name, f"new_{value.name}" if variable in trace.assigned else None, variable.cell)
        for variable, value in trace.sources.items()
    ]


def function(fn: Callable[..., Any] | None = None, *, device: str | None = None) -> Any:
    """Compile a function of arrays: traced once for each signature, then one graph, one run a call.

    Args:
        fn: a function written with ``nngraph.ops`` and arithmetic.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Example:
        >>> from nngraph import ops
        >>> @function
        ... def norm(x):
        ...     return ops.sqrt(ops.sum(x * x))
        >>> float(norm(np.array([3.0, 4.0], "float32")))
        5.0
    """
    if fn is None:
        return functools.partial(function, device=device)
    return CompiledFunction(fn, device)


def gradients(loss: Any, wrt: Any) -> list[Any]:
    """Return the gradients of a traced loss; for use inside ``train_step`` and traced functions.

    Args:
        loss: a graph value.
        wrt: variables or graph values.

    Raises:
        RuntimeError: nothing is being traced.
        ValueError: an operator on the way has no gradient rule.
    """
    trace = current_trace()
    if trace is None:
        raise RuntimeError(
            "gradients() works on a traced loss; outside of a trace use nngraph.grad or nngraph.value_and_grad"
        )
    xs = []
    for x in wrt:
        if isinstance(x, Variable):
            trace.read(x)
            xs.append(trace.sources[x])
        else:
            xs.append(x)
    if not isinstance(loss, Value):
        loss = trace.constant(np.asarray(loss))
    return list(append_gradients([loss], xs))


def value_and_grad(
    fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that gives ``fn``'s scalar value and its gradient with respect to some arguments.

    Args:
        fn: a function that returns a scalar (with ``has_aux``, a pair whose first is the scalar).
        argnums: position or positions of the arguments to differentiate; they may be nested lists or dicts of arrays.
        has_aux: the function also returns something that is not differentiated.

    Example:
        >>> f = value_and_grad(lambda x: x * x)
        >>> [float(r) for r in f(3.0)]
        [9.0, 6.0]
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def traced(*args: Any, **kwargs: Any) -> Any:
        own = list(args)
        for p in positions:
            if p >= len(args):
                raise ValueError(f"argnums={argnums}: the function was called with {len(args)} positional arguments")
            own[p] = map_leaves(_separate, args[p])
        xs = [x for p in positions for x in leaves(own[p]) if isinstance(x, Value)]
        result = fn(*own, **kwargs)
        value = result[0] if has_aux else result
        if isinstance(value, Variable):
            value = value.value
        if not isinstance(value, Value):
            trace = current_trace()
            assert trace is not None
            value = trace.constant(
                np.asarray(value, numpy_dtype("float32") if isinstance(value, (int, float)) else None)
            )
        if value.type.size != 1 or value.ndim:
            raise ValueError(
                f"grad needs a function that returns a scalar; it returned shape {value.shape} (reduce it with ops.sum)"
            )
        found = iter(append_gradients([value], xs))
        grads = tuple(map_leaves(lambda x: next(found) if isinstance(x, Value) else x, own[p]) for p in positions)
        return result, grads[0] if isinstance(argnums, int) else grads

    functools.update_wrapper(traced, fn)
    return CompiledFunction(traced)


def _separate(x: Any) -> Any:
    """Return a value of its own for an argument, so that only the way through the function counts."""
    if not _is_array(x) and not isinstance(x, Variable):
        return x
    trace = current_trace()
    assert trace is not None
    value = trace.read(x) if isinstance(x, Variable) else x
    if not isinstance(value, Value):
        value = trace.constant(_array(value))
    return apply("Identity", value)


def grad(fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return a function that gives the gradient of ``fn``'s scalar value; ``grad(grad(fn))`` works.

    Args:
        fn, argnums, has_aux: see :func:`value_and_grad`.

    Example:
        >>> float(grad(grad(lambda x: x * x * x))(2.0))
        12.0
    """
    both = value_and_grad(fn, argnums, has_aux)

    @functools.wraps(fn)
    def only_gradient(*args: Any, **kwargs: Any) -> Any:
        result, gradient = both(*args, **kwargs)
        return (gradient, result[1]) if has_aux else gradient

    return only_gradient
