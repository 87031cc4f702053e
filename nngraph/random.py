"""Random numbers, named as in ``keras.random``.

Numbers come from a counter-based generator made of integer operations (:mod:`nngraph.ops.bits`): equal states give
equal numbers in eager mode, in a graph, and on every device. A :class:`SeedGenerator` is the state: a seed and a
counter that each draw advances; in a traced function it is an input and an output of the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from nngraph import config
from nngraph.ir import TensorType, Value, is_float, is_integer, numpy_dtype, standardize_dtype
from nngraph.naming import auto_name
from nngraph.ops import Variable, bits, current_trace, public, raw
from nngraph.ops.core import convert, dtype_of, shape_vector
from nngraph.ops.core import shape as shape_of
from nngraph.ops.trace import apply
from nngraph.registry import COMPOSITE_DOMAIN
from nngraph.saving.registry import register_builtin

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]


@partial(register_builtin, module="nngraph.random")
class SeedGenerator:
    """A seed and a counter; every draw that is given it takes the next counter.

    Args:
        seed: an integer; ``None`` derives one from the global seed.
        name: a name for the state.

    Raises:
        ValueError: ``seed`` is not an integer.

    Example:
        >>> generator = SeedGenerator(seed=7)
        >>> generator.next().tolist(), generator.next().tolist()
        ([7, 0], [7, 1])
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        if kwargs:
            raise ValueError(f"SeedGenerator takes seed and name. Received also: {sorted(kwargs)}")
        self._initial_seed = seed
        self.name = name or auto_name("seed_generator")
        first = config.draw_seed() if seed is None else _checked(seed)
        self.state = Variable(
            np.array([first % 2**32, 0], np.uint32), trainable=False, name="seed_generator_state", dtype="uint32"
        )
        self.state.path = f"{self.name}/seed_generator_state"

    def next(self, ordered: bool = True) -> Any:
        """Return seed and counter as a ``uint32`` vector, and advance the counter."""
        state = self.state.value
        self.state.assign(raw.Add(state, np.array([0, 1], np.uint32)))
        return state

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Make the generator that ``config`` describes."""
        return cls(**config)


def _checked(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"seed must be an integer, a nngraph.random.SeedGenerator or None. Received: seed={seed!r}")
    return int(seed)


def _state(seed: Any) -> Any:
    """Return the state to draw with."""
    if seed is None:
        if current_trace() is not None:
            return SeedGenerator().next()  # its state lives in the graph, so each run draws anew
        return np.array([config.draw_seed(), 0], np.uint32)
    if hasattr(seed, "next"):
        return seed.next()
    state = np.array([_checked(seed) % 2**32, 0], np.uint32)
    trace = current_trace()
    # A graph holds the two words and not the numbers made of them, which may be many.
    return state if trace is None else trace.constant(state)


def _draw(op: str, seed: Any, shape: Any, kind: str, **attributes: Any) -> Any:
    """Record or compute one of the composites of :mod:`nngraph.ops.bits`."""
    sizes = _sizes(shape)
    named = tuple(_name_of(s) for s in sizes)
    types = None if any(d is None for d in named) else [TensorType(kind, named)]
    return apply(op, _state(seed), shape_vector(sizes), domain=COMPOSITE_DOMAIN, types=types, **attributes)


def _sizes(shape: Any) -> tuple[Any, ...]:
    if isinstance(shape, (int, np.integer)):
        return (int(shape),)
    return tuple(int(s) if isinstance(s, (int, np.integer)) else s for s in shape)


def _name_of(size: Any) -> Any:
    """Return a size as it stands in a type: a number, or the name behind a scalar of the graph."""
    if isinstance(size, int):
        return size
    from nngraph.symbolic import sizes_of

    found = sizes_of(size) if isinstance(size, Value) else None
    return found[0] if found and found[0] != "?" else None


def _float_dtype(dtype: Any, function: str) -> str:
    name = config.floatx() if dtype is None else standardize_dtype(dtype)
    if not is_float(name):
        raise ValueError(f"random.{function} draws floating-point numbers. Received: dtype={dtype!r}")
    return name


def _number(x: Any) -> bool:
    return isinstance(x, (int, float, np.number))


@public(namespace="random")
def uniform(shape: Sequence[int], minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Return numbers uniform in ``[minval, maxval)``.

    Args:
        shape: shape of the result.
        minval, maxval: numbers, or tensors that broadcast to the shape.
        dtype: a floating dtype; default ``config.floatx()``.
        seed: an integer (the same numbers each time), a :class:`SeedGenerator`, or ``None``.

    Raises:
        ValueError: the dtype is not a floating one, or the seed is none of these.

    Example:
        >>> x = uniform((2, 3), seed=1)
        >>> x.shape, bool((x >= 0).all() and (x < 1).all())
        ((2, 3), True)
    """
    dtype = _float_dtype(dtype, "uniform")
    unit = _draw("UniformNoise", seed, shape, dtype, dtype=dtype)
    if _number(minval) and _number(maxval):
        if (minval, maxval) == (0, 1):
            return unit
        kind = numpy_dtype(dtype).type
        scaled = raw.Add(raw.Mul(unit, kind(maxval - minval)), kind(minval))
        if minval == 0 or maxval <= minval:
            return scaled
        # The sum may round up to the bound, which is excluded.
        return raw.Min(scaled, np.nextafter(kind(maxval), kind(minval), dtype=numpy_dtype(dtype)))
    low, high = convert(minval, dtype), convert(maxval, dtype)
    return raw.Add(raw.Mul(unit, raw.Sub(high, low)), low)


def _scaled(x: Any, mean: Any, stddev: Any, dtype: str) -> Any:
    if not (_number(stddev) and stddev == 1):
        x = raw.Mul(x, convert(stddev, dtype))
    if not (_number(mean) and mean == 0):
        x = raw.Add(x, convert(mean, dtype))
    return x


@public(namespace="random")
def normal(shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Return normally distributed numbers.

    Args:
        shape: shape of the result.
        mean, stddev: numbers, or tensors that broadcast to the shape.
        dtype: a floating dtype; default ``config.floatx()``.
        seed: an integer (the same numbers each time), a :class:`SeedGenerator`, or ``None``.

    Raises:
        ValueError: the dtype is not a floating one, or the seed is none of these.

    Example:
        >>> normal((2, 3), seed=1).shape
        (2, 3)
    """
    dtype = _float_dtype(dtype, "normal")
    return _scaled(_draw("NormalNoise", seed, shape, dtype, dtype=dtype), mean, stddev, dtype)


@public(namespace="random")
def truncated_normal(
    shape: Sequence[int], mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Return normally distributed numbers, none more than two standard deviations from the mean.

    Args:
        shape: shape of the result.
        mean, stddev: numbers, or tensors that broadcast to the shape; ``stddev`` is that before the cut.
        dtype: a floating dtype; default ``config.floatx()``.
        seed: an integer (the same numbers each time), a :class:`SeedGenerator`, or ``None``.

    Example:
        >>> bool(abs(truncated_normal((1000,), seed=1)).max() <= 2)
        True
    """
    dtype = _float_dtype(dtype, "truncated_normal")
    return _scaled(_draw("TruncatedNormalNoise", seed, shape, dtype, dtype=dtype), mean, stddev, dtype)


@public(namespace="random")
def randint(shape: Sequence[int], minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None) -> Any:
    """Return integers uniform in ``[minval, maxval)``.

    Args:
        shape: shape of the result.
        minval, maxval: integers, or integer tensors that broadcast to the shape; at most ``2**32`` apart.
        dtype: an integer dtype.
        seed: an integer (the same numbers each time), a :class:`SeedGenerator`, or ``None``.

    Raises:
        ValueError: the dtype is not an integer one.

    Example:
        >>> x = randint((100,), 3, 6, seed=1)
        >>> sorted(set(x.tolist()))
        [3, 4, 5]
    """
    name = standardize_dtype(dtype)
    if not is_integer(name):
        raise ValueError(f"random.randint draws integers. Received: dtype={dtype!r}")
    drawn = _draw("RandomBits", seed, shape, "uint32")
    low, high = convert(minval, "int64"), convert(maxval, "int64")
    span = raw.Cast(raw.Sub(high, low), to="uint32")
    return raw.Cast(raw.Add(raw.Cast(raw.Mod(drawn, span), to="int64"), low), to=name)


@public(namespace="random")
def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Return class indices drawn from unnormalized log probabilities.

    Args:
        logits: shape ``(batch, classes)``.
        num_samples: draws for each row.
        dtype: an integer dtype.
        seed: an integer (the same numbers each time), a :class:`SeedGenerator`, or ``None``.

    Returns:
        Shape ``(batch, num_samples)``.

    Example:
        >>> categorical(np.array([[-1e9, 0.0]], "float32"), 3, seed=1).tolist()
        [[1, 1, 1]]
    """
    x = convert(logits)
    if not is_float(dtype_of(x)):
        x = convert(x, config.floatx())
    if len(x.shape) != 2:
        raise ValueError(f"random.categorical: logits must have shape (batch, classes), got {tuple(x.shape)}")
    batch, classes = shape_of(x)
    # The largest of logits + Gumbel noise falls on a class with its probability.
    noise = uniform((batch, num_samples, classes), dtype="float32", seed=seed)
    centred = raw.Add(noise, np.float32(2.0**-25))
    gumbel = raw.Neg(raw.Log(raw.Neg(raw.Log(centred))))
    scores = raw.Add(convert(gumbel, dtype_of(x)), raw.Unsqueeze(x, np.array([1])))
    return raw.Cast(raw.ArgMax(scores, axis=2, keepdims=0), to=standardize_dtype(dtype))


@public(namespace="random")
def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Return the inputs with a fraction ``rate`` of entries set to 0 and the others scaled by ``1 / (1 - rate)``.

    Args:
        inputs: a floating tensor.
        rate: a number from 0 to 1.
        noise_shape: shape of the mask, with 1 (or ``None`` for the input's size) where entries share their fate.
        seed: an integer (the same mask each time), a :class:`SeedGenerator`, or ``None``.

    Raises:
        ValueError: the rate is outside of [0, 1].

    Example:
        >>> sorted(set(dropout(np.ones((100,), "float32"), 0.5, seed=1).tolist()))
        [0.0, 2.0]
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"random.dropout: rate must be from 0 to 1, got {rate!r}")
    x = convert(inputs)
    if rate == 0:
        return x
    sizes = shape_of(x)
    if noise_shape is not None:
        if len(noise_shape) != len(sizes):
            raise ValueError(
                f"random.dropout: noise_shape {tuple(noise_shape)} must have {len(sizes)} entries, as the input"
            )
        sizes = tuple(have if want is None else want for want, have in zip(noise_shape, sizes, strict=True))
    return raw.Mul(x, _draw("DropoutMask", seed, sizes, dtype_of(x), rate=float(rate), dtype=dtype_of(x)))


@public(namespace="random")
def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """Return the slices of a tensor along an axis in random order.

    Args:
        x: a tensor.
        axis: the axis to shuffle.
        seed: an integer (the same order each time), a :class:`SeedGenerator`, or ``None``.

    Example:
        >>> sorted(shuffle(np.arange(5), seed=1).tolist())
        [0, 1, 2, 3, 4]
    """
    t = convert(x)
    count = shape_of(t)[axis]
    keys = raw.BitShift(_draw("RandomBits", seed, (count,), "uint32"), np.uint32(1), direction="RIGHT")
    _, order = apply("TopK", raw.Cast(keys, to="int32"), shape_vector([count]), outputs=2, axis=0)
    return raw.Gather(t, order, axis=axis)


_GAMMA_ROUNDS = 12
"""Candidates for each gamma number; at least 95 % are accepted, so one in 10**15 numbers finds none."""


@public(namespace="random")
def gamma(shape: Sequence[int], alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Return numbers of the gamma distribution with shape parameter ``alpha`` and scale 1.

    Args:
        shape: shape of the result.
        alpha: a positive number, or a tensor that broadcasts to the shape.
        dtype: a floating dtype; default ``config.floatx()``.
        seed: an integer (the same numbers each time), a :class:`SeedGenerator`, or ``None``.

    The method is Marsaglia and Tsang's (2000), with a fixed number of candidates of which the first good one is taken.

    Example:
        >>> bool((gamma((100,), 2.0, seed=1) > 0).all())
        True
    """
    dtype = _float_dtype(dtype, "gamma")
    wide = "float64" if dtype == "float64" else "float32"
    a = convert(alpha, wide)
    small = raw.Less(a, 1)
    # A number of Gamma(a) is one of Gamma(a + 1) times u**(1 / a).
    d = raw.Sub(raw.Where(small, raw.Add(a, 1), a), 1 / 3)
    c = raw.Div(np.asarray(1 / 3, numpy_dtype(wide)), raw.Sqrt(d))
    keys = _split(_state(seed), 3)
    rounds = (_GAMMA_ROUNDS, *_sizes(shape))
    z = _draw("NormalNoise", _Fixed(keys[0]), rounds, wide, dtype=wide)
    u = raw.Add(_draw("UniformNoise", _Fixed(keys[1]), rounds, wide, dtype=wide), 2.0**-26)
    v = raw.Add(raw.Mul(c, z), 1)
    cube = raw.Max(raw.Mul(raw.Mul(v, v), v), np.asarray(1e-30, numpy_dtype(wide)))
    bound = raw.Add(raw.Mul(raw.Mul(z, z), 0.5), raw.Mul(d, raw.Add(raw.Sub(1, cube), raw.Log(cube))))
    good = raw.And(raw.Greater(v, 0), raw.Less(raw.Log(u), bound))
    first = raw.ArgMax(raw.Cast(good, to="int32"), axis=0, keepdims=1)
    chosen = raw.Squeeze(raw.GatherElements(raw.Mul(d, cube), first, axis=0), np.array([0]))
    boost = raw.Add(_draw("UniformNoise", _Fixed(keys[2]), shape, wide, dtype=wide), 2.0**-26)
    power = raw.Pow(boost, raw.Reciprocal(a))
    return raw.Cast(raw.Where(small, raw.Mul(chosen, power), chosen), to=dtype)


class _Fixed:
    """A state to draw with once, in a generator's clothes."""

    def __init__(self, state: Any) -> None:
        self._drawn = state

    def next(self) -> Any:
        return self._drawn


def _split(state: Any, count: int) -> list[Any]:
    """Return several unrelated states made of one."""
    words = bits.random_bits(state, np.array([count, 2]))
    return [raw.Gather(words, np.array(k), axis=0) for k in range(count)]


@public(namespace="random")
def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Return numbers of the beta distribution.

    Args:
        shape: shape of the result.
        alpha, beta: positive numbers, or tensors that broadcast to the shape.
        dtype: a floating dtype; default ``config.floatx()``.
        seed: an integer (the same numbers each time), a :class:`SeedGenerator`, or ``None``.

    Example:
        >>> x = beta((100,), 2.0, 3.0, seed=1)
        >>> bool((x > 0).all() and (x < 1).all())
        True
    """
    dtype = _float_dtype(dtype, "beta")
    first, second = _split(_state(seed), 2)
    a = gamma(shape, alpha, dtype=dtype, seed=_Fixed(first))
    b = gamma(shape, beta, dtype=dtype, seed=_Fixed(second))
    return raw.Div(a, raw.Add(a, b))


@public(namespace="random")
def binomial(shape: Sequence[int], counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Return how many of ``counts`` trials succeed.

    Args:
        shape: shape of the result.
        counts: numbers of trials; a number or an array that broadcasts to the shape (not a symbolic tensor: the
            largest count sets the size of the computation).
        probabilities: probabilities of success, a number or a tensor that broadcasts to the shape.
        dtype: a floating dtype; default ``config.floatx()``.
        seed: an integer (the same numbers each time), a :class:`SeedGenerator`, or ``None``.

    Raises:
        ValueError: ``counts`` is symbolic.

    Example:
        >>> x = binomial((100,), 4, 0.5, seed=1)
        >>> bool((x >= 0).all() and (x <= 4).all())
        True
    """
    dtype = _float_dtype(dtype, "binomial")
    if isinstance(counts, Value):
        raise ValueError(
            "random.binomial: counts must be numbers known while the graph is traced, got a symbolic tensor"
        )
    n, p = convert(np.asarray(counts), "float32"), convert(probabilities, "float32")
    trials = int(np.max(n, initial=0))
    sizes = _sizes(shape)
    u = uniform((trials, *sizes), dtype="float32", seed=seed)
    index = np.arange(trials, dtype=np.float32).reshape((trials,) + (1,) * len(sizes))
    counted = raw.And(raw.Less(u, p), raw.Less(index, n))
    return raw.Cast(raw.ReduceSum(raw.Cast(counted, to="float32"), np.array([0]), keepdims=0), to=dtype)
