"""Functions with a gradient of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from nngraph import tree
from nngraph.ir import Graph, Node, Value, is_float
from nngraph.ops.axes import zeros_of
from nngraph.ops.core import stop_gradient
from nngraph.ops.dispatch import is_tensor
from nngraph.ops.keras_tensor import OpCall, any_symbolic, record_call
from nngraph.ops.subgraph import as_value, trace_body
from nngraph.ops.trace import apply, composite, current_trace, inline
from nngraph.ops.vjp import Reverse, raw, vjp_node
from nngraph.registry import COMPOSITE_DOMAIN

__all__ = ["custom_gradient"]


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function its own gradient.

    Args:
        f: takes tensors and returns its outputs and a gradient function; that takes the gradient of each output and
            returns the gradient of each argument (``None`` for none).

    Returns:
        A function that returns only the outputs. Gradients of it are what the gradient function says, and they can be
        differentiated again, through the tensors of ``f`` that the gradient function uses.

    Raises:
        ValueError: ``f`` does not return such a pair, or the gradient function returns another number of gradients.

    Example:
        >>> from nngraph import ops
        >>> @custom_gradient
        ... def clipped_below(x):
        ...     return ops.maximum(x, 0.0), lambda upstream: upstream  # passes the gradient on where x is negative, too
        >>> clipped_below(np.float32([-1, 2])).tolist()
        [0.0, 2.0]
    """

    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args, kwargs):
            return record_call(OpCall(wrapper, getattr(f, "__name__", "custom_gradient")), wrapper, args, kwargs)
        result = f(*args, **kwargs)
        if not isinstance(result, (tuple, list)) or len(result) != 2 or not callable(result[1]):
            raise ValueError(
                f"custom_gradient: {getattr(f, '__name__', 'the function')} must return a pair (outputs, grad_fn), "
                f"got {type(result).__name__}"
            )
        outputs, grad_fn = result
        if current_trace() is None:
            return outputs
        return _recorded(args, outputs, grad_fn)

    return wrapper


def _recorded(args: Sequence[Any], outputs: Any, grad_fn: Callable[..., Any]) -> Any:
    """Put a node between the outputs and their users that knows the gradient."""
    sources = [(k, as_value(x)) for k, x in enumerate(args) if is_tensor(x)]
    values = [as_value(x) for x in tree.flatten(outputs)]

    def backward(*upstream: Value) -> list[tuple[Any, str | None]]:
        gradients = grad_fn(*upstream)
        found = list(gradients) if isinstance(gradients, (tuple, list)) else [gradients]
        if len(found) == len(args):
            found = [found[k] for k, _ in sources]
        if len(found) != len(sources):
            raise ValueError(
                f"custom_gradient: the gradient function returned {len(found)} gradients for {len(sources)} arguments"
            )
        return [(zeros_of(v) if g is None else g, v.dtype) for g, (_, v) in zip(found, sources, strict=True)]

    graph = trace_body("gradient", [("upstream", v.type) for v in values], backward)
    # The gradient must not also go through the function itself, whose operators may have none.
    fixed = [stop_gradient(v) for v in values]
    results = apply(
        "CustomGradient",
        *fixed,
        *(v for _, v in sources),
        domain=COMPOSITE_DOMAIN,
        outputs=len(values),
        types=[v.type for v in values],
        count=len(values),
        backward=graph,
    )
    return tree.pack_sequence_as(outputs, [results] if len(values) == 1 else results)


@composite("CustomGradient")
def _custom_gradient(*inputs: Any, count: int, backward: Graph) -> Any:
    """Return the first ``count`` inputs; the gradient of the others is the subgraph ``backward``."""
    results = tuple(raw.Identity(x) for x in inputs[:count])
    return results[0] if count == 1 else results


@vjp_node("CustomGradient", domain=COMPOSITE_DOMAIN)
def _(node: Node, gs: Sequence[Value | None], reverse: Reverse) -> list[tuple[Value, Any]]:
    """What the subgraph computes from the gradients of the outputs."""
    upstream = [zeros_of(y) if g is None else g for g, y in zip(gs, node.outputs, strict=True)]
    found = inline(node.attributes["backward"], upstream)
    sources = [v for v in node.inputs[node.attributes["count"] :] if v is not None]
    return [(v, g) for v, g in zip(sources, found, strict=True) if is_float(v.dtype)]
