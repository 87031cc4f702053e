"""Keras tensors: the symbols of a functional model, and the calls that connect them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nngraph.ir import Graph, TensorType, Value, standardize_dtype
from nngraph.ir.operators import ArrayOperators

__all__ = ["CallRecord", "KerasTensor", "OpCall", "any_symbolic", "leaves", "map_leaves", "record_call"]

_COUNTER = itertools.count()


class KerasTensor(ArrayOperators):
    """A symbol with a shape and a dtype that remembers which call produced it.

    Args:
        shape: sizes, ``None`` where unknown (or a name for it).
        dtype: dtype name.
        name: a name.

    Example:
        >>> KerasTensor((None, 3), name="x")
        <KerasTensor shape=(None, 3), dtype=float32, name=x>
    """

    _nngraph_symbolic = True

    def __init__(
        self,
        shape: Sequence[int | str | None],
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ) -> None:
        if sparse or ragged:
            raise ValueError("sparse and ragged tensors are not supported; pad to a dense tensor instead")
        self.name = name or f"keras_tensor_{next(_COUNTER)}"
        dims = [
            ("batch" if k == 0 else f"{self.name}_dim_{k}") if d is None else d if isinstance(d, str) else int(d)
            for k, d in enumerate(shape)
        ]
        self.type = TensorType(standardize_dtype(dtype), tuple(dims))
        self.record: CallRecord | None = None
        self.index = 0
        self._keras_mask: KerasTensor | None = None

    @classmethod
    def of(cls, type: TensorType, name: str | None = None) -> KerasTensor:
        """Return a tensor of a graph type, named sizes kept."""
        return cls(type.shape, type.dtype, name=name)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes; ``None`` where known only at run time."""
        return tuple(d if isinstance(d, int) else None for d in self.type.shape)

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """The rank."""
        return len(self.type.shape)

    def __len__(self) -> int:
        size = self.shape[0] if self.shape else None
        if size is None:
            raise TypeError(f"the length of {self!r} is not known")
        return size

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is symbolic and has no truth value; use ops.where or ops.cond")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise ValueError(f"{self!r} is symbolic and holds no numbers; use nngraph.ops functions instead of numpy's")

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


class OpCall:
    """A function of ``nngraph.ops`` called on Keras tensors: the functional model's counterpart of a layer."""

    def __init__(self, fn: Callable[..., Any], name: str) -> None:
        self.fn = fn
        self.op_name = name
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<ops.{self.op_name}>"


class CallRecord:
    """One call of a layer or function on Keras tensors.

    Attributes:
        operation: the layer or :class:`OpCall`.
        args, kwargs: the arguments, Keras tensors among them.
        outputs: the Keras tensors that came out, flat.
        structure: what the call returned.
    """

    __slots__ = ("args", "kwargs", "operation", "outputs", "structure")

    def __init__(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], structure: Any) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.structure = structure
        self.outputs: list[KerasTensor] = [t for t in leaves(structure) if isinstance(t, KerasTensor)]
        for index, tensor in enumerate(self.outputs):
            tensor.record, tensor.index = self, index

    @property
    def parents(self) -> list[KerasTensor]:
        """The Keras tensors among the arguments."""
        return [t for t in leaves((self.args, self.kwargs)) if isinstance(t, KerasTensor)]


def leaves(structure: Any) -> Iterator[Any]:
    """Yield what lists, tuples, dicts and slices hold, depth first, in order."""
    if isinstance(structure, (list, tuple)):
        for item in structure:
            yield from leaves(item)
    elif isinstance(structure, dict):
        for item in structure.values():
            yield from leaves(item)
    elif isinstance(structure, slice):
        yield from leaves((structure.start, structure.stop, structure.step))
    else:
        yield structure


def map_leaves(fn: Callable[[Any], Any], structure: Any) -> Any:
    """Return the structure with ``fn`` applied to each leaf."""
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(map_leaves(fn, s) for s in structure))
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_leaves(fn, s) for s in structure)
    if isinstance(structure, dict):
        return {k: map_leaves(fn, v) for k, v in structure.items()}
    if isinstance(structure, slice):
        return slice(*(map_leaves(fn, s) for s in (structure.start, structure.stop, structure.step)))
    return fn(structure)


def any_symbolic(args: Any, kwargs: Any = ()) -> bool:
    """Tell whether a Keras tensor is among the arguments."""
    for x in args:
        if isinstance(x, KerasTensor):
            return True
        if isinstance(x, (list, tuple, dict, slice)) and any(isinstance(t, KerasTensor) for t in leaves(x)):
            return True
    return bool(kwargs) and any(isinstance(t, KerasTensor) for t in leaves(kwargs))


def record_call(operation: Any, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Infer what ``fn`` returns on Keras tensors by tracing it once, and record the call.

    Returns:
        The result's structure with a Keras tensor for each tensor.
    """
    from nngraph.ops.trace import Trace

    graph = Graph("infer")
    trace = Trace(graph)
    values: dict[int, Value] = {}

    def value_of(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return x
        if id(x) not in values:
            values[id(x)] = graph.add_input(x.name, x.type)
            if x._keras_mask is not None:
                trace.masks[values[id(x)]] = graph.add_input(f"{x.name}_mask", x._keras_mask.type)
        return values[id(x)]

    with trace:
        result = fn(*map_leaves(value_of, args), **map_leaves(value_of, kwargs))

    name = getattr(operation, "name", "op")

    def tensor_of(x: Any) -> Any:
        if not (isinstance(x, Value) or hasattr(x, "dtype")):
            return x
        type = x.type if isinstance(x, Value) else TensorType.of(x)
        tensor = KerasTensor.of(type, f"{name}_{next(_COUNTER)}")
        mask = trace.masks.get(x) if isinstance(x, Value) else None
        if mask is not None:
            mask_type = mask.type if isinstance(mask, Value) else TensorType.of(mask)
            tensor._keras_mask = KerasTensor.of(mask_type, f"{tensor.name}_mask")
        return tensor

    structure = map_leaves(tensor_of, result)
    return CallRecord(operation, args, kwargs, structure).structure
