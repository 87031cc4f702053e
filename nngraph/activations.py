"""Activations: elementwise functions between layers, and the few that look along an axis.

Most are the operations of the same name in `nngraph.ops`. As a layer's argument each can be given as a function or as a
string, its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngraph import ops
from nngraph.ir import is_float
from nngraph.ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
)
from nngraph.ops.core import dtype_of
from nngraph.ops.nn_activations import capped_relu
from nngraph.saving.lookup import Lookup

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

hard_swish = hard_silu
swish = silu


def linear(x: Any) -> Any:
    """Return x as it is.

    >>> linear(3.0)
    3.0
    """
    return x


def exponential(x: Any) -> Any:
    """Return exp(x).

    >>> exponential([0.0, 1.0]).tolist()
    [1.0, 2.718...]
    """
    return ops.exp(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """Return x Φ(x), where Φ is the distribution function of the standard normal distribution.

    With `approximate` Φ(x) is 0.5 (1 + tanh(sqrt(2/π) (x + 0.044715 x³))).
    Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    >>> gelu([-1.0, 0.0, 1.0]).tolist()
    [-0.158..., 0.0, 0.841...]
    """
    return ops.gelu(x, approximate=approximate)


def mish(x: Any) -> Any:
    """Return x tanh(softplus(x)).

    Misra, "Mish: a self regularized non-monotonic activation function", 2019.

    >>> mish([-1.0, 0.0, 1.0]).tolist()
    [-0.303..., 0.0, 0.865...]
    """
    x = ops.convert_to_tensor(x)
    return x * ops.tanh(ops.softplus(x))


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Return x above the threshold t and `negative_slope` (x - t) below it, never more than `max_value`.

    With the default arguments this is max(x, 0).

    >>> relu([-2.0, 1.0, 9.0], negative_slope=0.5, max_value=6).tolist()
    [-1.0, 1.0, 6.0]
    """
    x = ops.convert_to_tensor(x)
    if threshold == 0 and negative_slope == 0:
        if max_value is not None and is_float(dtype_of(x)):
            return capped_relu(x, most=float(max_value))
        positive = ops.relu(x)
    elif threshold == 0:
        positive = ops.leaky_relu(x, negative_slope=negative_slope)
    else:
        positive = ops.where(x > threshold, x, negative_slope * (x - threshold))
    return positive if max_value is None else ops.minimum(positive, max_value)


_NAMES = {
    function.__name__: function
    for function in (
        celu,
        elu,
        exponential,
        gelu,
        glu,
        hard_shrink,
        hard_sigmoid,
        hard_silu,
        hard_tanh,
        leaky_relu,
        linear,
        log_sigmoid,
        log_softmax,
        mish,
        relu,
        relu6,
        selu,
        sigmoid,
        silu,
        soft_shrink,
        softmax,
        softplus,
        softsign,
        sparse_plus,
        sparse_sigmoid,
        sparsemax,
        squareplus,
        tanh,
        tanh_shrink,
        threshold,
    )
}
_LOOKUP = Lookup("activation", "nngraph.activations", {**_NAMES, "hard_swish": hard_silu, "swish": silu})


def get(identifier: Any) -> Any:
    """Return the activation for a name, a configuration, a function or a layer; None gives `linear`.

    Raises ValueError for an unknown name, naming the nearest, and for anything else.

    >>> get("swish").__name__
    'silu'
    >>> get("sigmoidd")
    Traceback (most recent call last):
    ...
    ValueError: Unknown activation 'sigmoidd'. Did you mean 'sigmoid'? ...
    """
    return linear if identifier is None else _LOOKUP.get(identifier)


def serialize(activation: Any) -> Any:
    """Return the name of an activation, or the configuration of another function or of a layer, as plain data.

    >>> serialize(relu)
    'relu'
    """
    name = getattr(activation, "__name__", None)
    return name if _NAMES.get(name) is activation else _LOOKUP.serialize(activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the activation that `serialize` described.

    >>> deserialize(serialize(mish)) is mish
    True
    """
    return _LOOKUP.deserialize(config, custom_objects)
