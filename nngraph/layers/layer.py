"""The base class of layers: state, calling, masks and configuration.

A call on arrays runs at once; a call on Keras tensors is recorded for a functional model; a call on graph values, in a
traced function, records nodes under the layer's path.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from nngraph import config, constraints, initializers, regularizers
from nngraph.ir import Value, is_float
from nngraph.layers.call_context import current_context, entered
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.signature import signature_of
from nngraph.naming import auto_name, snake_case
from nngraph.ops.core import convert, dtype_of
from nngraph.ops.keras_tensor import CallRecord, KerasTensor, any_symbolic, leaves, map_leaves, record_call
from nngraph.ops.masking import get_mask, set_mask
from nngraph.ops.trace import current_trace
from nngraph.ops.variable import Variable

__all__ = ["Layer"]


class Layer:
    """A computation with state: subclass it with ``build`` (make weights) and ``call`` (compute with ``nngraph.ops``).

    Args:
        activity_regularizer: regularizer of the output, added to the loss.
        trainable: whether the weights are trained.
        dtype: dtype of weights and computation; default is the global policy.
        autocast: cast floating inputs to the layer's dtype.
        name: a name; default is the class name in snake case, numbered.

    Example:
        >>> class Scale(Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")
        ...     def call(self, inputs):
        ...         return inputs * self.factor
        >>> Scale()(np.ones((1, 2), "float32")).tolist()
        [[1.0, 1.0]]
    """

    structure_version: ClassVar[int] = 0
    """Counts every new weight and every change of what is trainable, in any layer; caches compare it."""

    _constructor: tuple[tuple[Any, ...], dict[str, Any]]
    _seen_masked: ClassVar[set[type]] = set()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = super().__new__(cls)
        instance._constructor = (args, kwargs)  # for get_config of classes that do not write one
        return instance

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._input_shape_arg = _old_input_shape(type(self).__name__, kwargs)
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {sorted(kwargs)}; it accepts "
                f"{', '.join(signature_of(type(self).__init__).names)} and activity_regularizer, trainable, dtype, name"
            )
        if name is not None and not isinstance(name, str):
            raise ValueError(f"name of a {type(self).__name__} layer must be a string, got {name!r}")
        self.name = name or auto_name(snake_case(type(self).__name__))
        self.path = self.name
        self.built = False
        self.autocast = autocast
        self.supports_masking = False
        self.input_spec: Any = None
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.dtype_policy = dtype if isinstance(dtype, config.DTypePolicy) else _policy(dtype)
        self._trainable = bool(trainable)
        self._own_variables: list[Variable] = []
        self._losses: list[Any] = []
        self._build_shapes: Any = None
        self._calls: list[CallRecord] = []

    # -- state -----------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """Dtype of the weights."""
        return self.dtype_policy.variable_dtype

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """Dtype of the computation."""
        return self.dtype_policy.compute_dtype

    @property
    def input_dtype(self) -> str:
        """Dtype to which floating inputs are cast."""
        return self.dtype_policy.compute_dtype

    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Create a variable that belongs to the layer.

        Args:
            shape: its shape; default ``()``.
            initializer: an initializer, its name or an array; default ``"glorot_uniform"``, zeros for integers.
            dtype: default is the layer's.
            trainable: whether gradients are taken for it.
            regularizer, constraint: objects or names.
            name: its name below the layer's path.
        """
        shape = () if shape is None else tuple(shape)
        if any(s is None for s in shape):
            raise ValueError(
                f"layer {self.name!r} ({type(self).__name__}): weight {name!r} needs a known shape, got {shape}; "
                "give the input that size in Input(shape=...)"
            )
        wanted = dtype or self.dtype
        if initializer is None:
            initializer = "glorot_uniform" if is_float(str(wanted)) else "zeros"
        if not isinstance(initializer, (np.ndarray, np.generic, int, float)):
            initializer = initializers.get(initializer)
        variable = Variable(
            initializer,
            shape=shape,
            dtype=wanted,
            trainable=trainable,
            autocast=autocast,
            aggregation=aggregation,
            name=name or auto_name("variable"),
        )
        variable.path = f"{self.path}/{variable.name}"
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        variable.trainable = trainable and self._trainable
        variable._added_trainable = trainable  # type: ignore[attr-defined]
        if trainable and not self._trainable:
            variable._trainable_when_unfrozen = True  # type: ignore[attr-defined]
        self._own_variables.append(variable)
        Layer.structure_version += 1
        return variable

    add_variable = add_weight

    def _own(self) -> list[Variable]:
        """Own variables: those added, then those only assigned as attributes."""
        found = dict.fromkeys(self._own_variables)
        for value in self.__dict__.values():
            if isinstance(value, Variable):
                found[value] = None
        return list(found)

    @property
    def _sublayers(self) -> list[Layer]:
        """Layers among the attributes, also in lists, tuples and dicts, each once."""
        found: dict[Layer, None] = {}
        for key, value in self.__dict__.items():
            if key not in _NOT_SEARCHED:
                for item in _found(value, Layer):
                    found[item] = None
        found.pop(self, None)
        return list(found)

    def _flatten_layers(self, include_self: bool = True) -> list[Layer]:
        found: dict[Layer, None] = {self: None} if include_self else {}
        for layer in self._sublayers:
            for item in layer._flatten_layers():
                found[item] = None
        return list(found)

    def _seed_states(self) -> list[Variable]:
        """The counters of the random generators among the attributes."""
        return [
            value.state
            for layer in self._flatten_layers()
            for value in layer.__dict__.values()
            if isinstance(getattr(value, "state", None), Variable)
        ]

    def _metric_variables(self) -> list[Variable]:
        found = [v for m in self.metrics for v in m.variables]
        return list(dict.fromkeys(found))

    @property
    def metrics(self) -> list[Any]:
        """Metrics among the attributes of the layer and its sublayers."""
        found: dict[Any, None] = {}
        for layer in self._flatten_layers():
            for value in layer.__dict__.values():
                if hasattr(value, "update_state") and hasattr(value, "result"):
                    found[value] = None
        return list(found)

    def _gather(self, own: Any) -> list[Variable]:
        found = dict.fromkeys(own(self))
        for layer in self._sublayers:
            found.update(dict.fromkeys(layer._gather(own)))
        return list(found)

    @property
    def weights(self) -> list[Variable]:
        """All weights, trainable ones of each layer first."""
        return self._gather(lambda layer: sorted(layer._own(), key=lambda v: not layer._counts_as_trainable(v)))

    def _counts_as_trainable(self, variable: Variable) -> bool:
        # Freezing a layer or one of its weights must not change the order.
        added = getattr(variable, "_added_trainable", variable.trainable)
        return added or getattr(variable, "_trainable_when_unfrozen", False)

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves alone, and statistics."""
        trainable = set(self.trainable_weights)
        return [v for v in self.weights if v not in trainable]

    @property
    def variables(self) -> list[Variable]:
        """Weights, random counters and metric state."""
        return list(dict.fromkeys([*self.weights, *self._seed_states(), *self._metric_variables()]))

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that training changes by gradients."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """All other variables."""
        trainable = set(self.trainable_weights)
        return [v for v in self.variables if v not in trainable]

    @property
    def trainable(self) -> bool:
        """Whether the layer's weights are trained; setting it sets all layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        Layer.structure_version += 1
        for variable in self._own():
            if variable.trainable:
                variable._trainable_when_unfrozen = True  # type: ignore[attr-defined]
            if getattr(variable, "_trainable_when_unfrozen", False):
                variable.trainable = bool(value)
        for layer in self._sublayers:
            layer.trainable = value

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Return copies of all weights."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights from arrays in the order of :meth:`get_weights`.

        Raises:
            ValueError: the count or a shape differs; nothing is changed then.
        """
        own = self.weights
        if len(weights) != len(own):
            raise ValueError(f"layer {self.name!r} has {len(own)} weights, set_weights got {len(weights)} arrays")
        for variable, array in zip(own, weights, strict=True):
            if np.shape(array) != variable.shape:
                raise ValueError(
                    f"layer {self.name!r}: weight {variable.path!r} has shape {variable.shape}, "
                    f"set_weights got an array of shape {np.shape(array)}"
                )
        for variable, array in zip(own, weights, strict=True):
            variable.assign(array)

    def count_params(self) -> int:
        """Return the number of weights' elements.

        Raises:
            ValueError: the layer is not built yet.
        """
        if not self.built:
            raise ValueError(f"layer {self.name!r} has no weights yet; call it on data or build(input_shape) it first")
        return int(sum(np.prod(v.shape, dtype=np.int64) for v in self.weights))

    # -- losses ----------------------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add scalars to the model's loss; call it inside ``call``."""
        trace, context = current_trace(), current_context()
        for item in leaves(loss):
            if trace is not None:
                trace.losses.append((self, item))
            elif context is not None:
                context.losses.append(item)
            else:
                self._losses.append(item)

    @property
    def losses(self) -> list[Any]:
        """What ``add_loss`` collected (in the trace or the last eager call), and the regularization losses."""
        trace, layers = current_trace(), self._flatten_layers()
        if trace is not None:
            own = set(layers)
            collected = [loss for layer, loss in trace.losses if layer in own]
        else:
            collected = [loss for layer in layers for loss in layer._losses]
        return [*collected, *self._regularization_losses()]

    def _regularization_losses(self) -> list[Any]:
        return [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]

    # -- building and calling --------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Create the weights; ``input_shape`` is a tuple with ``None`` for unknown sizes, or a list of tuples."""
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; subclasses write this."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs, ...)")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Return the mask of the outputs; by default the inputs' mask."""
        return previous_mask

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Return the output shape for an input shape; found by tracing the layer once."""
        shapes = args[0] if args else next(iter(kwargs.values()))
        is_shape = isinstance(shapes, (tuple, list)) and all(d is None or isinstance(d, int) for d in shapes)
        inputs = KerasTensor(shapes, self.compute_dtype) if is_shape else _tensors_of(shapes, self.compute_dtype)
        return map_leaves(lambda t: t.shape, self.compute_output_spec(inputs))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return Keras tensors that describe the outputs."""
        return record_call(self, self._run, args, kwargs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the layer gives on Keras tensors."""
        return self.compute_output_spec(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._require_initialized()
        if not any_symbolic(args, kwargs):
            return self._run(*args, **kwargs)
        outputs = record_call(self, self._run, args, kwargs)
        record = next((t.record for t in leaves(outputs) if isinstance(t, KerasTensor)), None)
        if record is not None:
            self._calls.append(record)
        return outputs

    def _require_initialized(self) -> None:
        if "_own_variables" not in self.__dict__:
            raise RuntimeError(
                f"{type(self).__name__}.__init__ did not call super().__init__(); write it as its first line"
            )

    @property
    def input(self) -> Any:
        """The Keras tensors that went into the layer's first call."""
        found = self._first_call("input").parents
        return found[0] if len(found) == 1 else found

    @property
    def output(self) -> Any:
        """The Keras tensors that came out of the layer's first call."""
        return self._first_call("output").structure

    def _first_call(self, what: str) -> CallRecord:
        if not self._calls:
            raise AttributeError(
                f"layer {self.name!r} has no {what} yet: it was not called on Keras tensors; begin the model with Input"
            )
        return self._calls[0]

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and args[0] is None:
            raise ValueError(
                f"layer {self.name!r} ({type(self).__name__}) was called on None; does its maker lack a return?"
            )
        signature = signature_of(type(self).call)
        args, kwargs = self._converted(args, kwargs)
        given = signature.bind(args, kwargs)
        first = args[0] if args else next(iter(given.values()), None)
        training = given.get("training")
        with entered(self.name, training) as context:
            try:
                self._check_input(first)
                self._build_once(given, first)
                if signature.accepts("training"):
                    if training is None and context.training is not None:
                        kwargs["training"] = bool(context.training)
                    elif training is None and "training" in signature.required:
                        kwargs["training"] = False  # nobody says anything: not even the layer's own default
                elif "training" in kwargs:
                    kwargs.pop("training")
                self._fill_masks(signature.names, given, kwargs)
                outputs = self._traced_call(args, kwargs)
            except (ValueError, TypeError) as error:
                raise self._named(error, first) from error
            if self.activity_regularizer is not None:
                for output in leaves(outputs):
                    # Keras divides by the batch size, so that the loss does not grow with it.
                    self.add_loss(self.activity_regularizer(output) / _batch_size(output))
            self._pass_mask_on(first, outputs)
            if len(context.scopes) == 1 and current_trace() is None:
                self._losses = list(context.losses)
        return outputs

    def _traced_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        trace = current_trace()
        if trace is None:
            return self.call(*args, **kwargs)
        with trace.within("/".join([*trace.layers[-1:], self.name]) if trace.layers else self.name):
            return self.call(*args, **kwargs)

    def _converted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def cast(x: Any) -> Any:
            if isinstance(x, (bool, int, float, str)) or x is None or not hasattr(x, "dtype"):
                return x
            if self.autocast and is_float(dtype_of(x)) and dtype_of(x) != self.compute_dtype:
                return convert(x, self.compute_dtype)
            return x.value if isinstance(x, Variable) else x

        if args and isinstance(args[0], list) and not any(hasattr(x, "dtype") for x in leaves(args[0])):
            args = (np.asarray(args[0]), *args[1:])  # a list of numbers
        return map_leaves(cast, args), map_leaves(cast, kwargs)

    def _check_input(self, first: Any) -> None:
        specs = self.input_spec
        if specs is None:
            return
        tensors = [x for x in leaves(first) if hasattr(x, "shape")]
        for position, (spec, tensor) in enumerate(
            zip(specs if isinstance(specs, (list, tuple)) else [specs], tensors, strict=False)
        ):
            problem = spec.problem(_shape_of(tensor)) if isinstance(spec, InputSpec) else ""
            if problem:
                which = f"input {position}" if len(tensors) > 1 else "its input"
                raise ValueError(f"{which}: {problem}")

    def _build_once(self, given: dict[str, Any], first: Any) -> None:
        if self.built:
            return
        context = current_context()
        self.path = "/".join(context.scopes) if context is not None else self.name
        build = signature_of(type(self).build)
        shapes = {f"{name}_shape": map_leaves(_shape_of, x) for name, x in given.items() if _has_tensor(x)}
        if len(build.names) > 1 and all(p in shapes for p in build.required):
            # Optional parameters are shapes of inputs that a call may leave out.
            self._build_shapes = {p: shapes[p] for p in build.names if p in shapes}
            self.build(**self._build_shapes)
        else:
            shape = map_leaves(_shape_of, first)
            self.build(shape)
            self._build_shapes = shape
        self.built = True

    def _fill_masks(self, names: tuple[str, ...], given: dict[str, Any], kwargs: dict[str, Any]) -> None:
        for position, (name, value) in enumerate(given.items()):
            key = "mask" if position == 0 else f"{name}_mask"
            if position == 0 and "mask" not in names and f"{name}_mask" in names:
                key = f"{name}_mask"
            if key in names and given.get(key) is None and _has_tensor(value):
                mask = map_leaves(get_mask, value)
                if any(m is not None for m in leaves(mask)):
                    kwargs[key] = mask

    def _pass_mask_on(self, first: Any, outputs: Any) -> None:
        if not _has_tensor(first):
            return
        results = [o for o in leaves(outputs) if hasattr(o, "dtype")]
        if any(get_mask(o) is not None and o is not first for o in results):
            return
        previous = map_leaves(get_mask, first)
        masked = any(m is not None for m in leaves(previous))
        if masked and not self.supports_masking:
            if type(self) not in Layer._seen_masked:
                Layer._seen_masked.add(type(self))
                warnings.warn(
                    f"layer {self.name!r} ({type(self).__name__}) does not support masking; its input's mask ends here",
                    stacklevel=4,
                )
            return
        if not self.supports_masking:
            return
        mask = self.compute_mask(
            first, previous if masked else (None if not isinstance(first, (list, tuple)) else previous)
        )
        if mask is None:
            return
        masks = [mask] if hasattr(mask, "dtype") else list(leaves(mask))
        for output, item in zip(results, masks, strict=False):
            set_mask(output, item)

    def _named(self, error: Exception, first: Any) -> Exception:
        """Return the error with the layer's name; only the innermost layer adds its own."""
        if getattr(error, "_names_layer", False):
            return error
        shapes = map_leaves(lambda x: _shape_of(x) if hasattr(x, "shape") else type(x).__name__, first)
        named = type(error)(f"layer {self.name!r} ({type(self).__name__}) on input of shape {shapes}: {error}")
        named._names_layer = True  # type: ignore[attr-defined]
        return named

    # -- configuration ---------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; a subclass with arguments extends the dict of its base."""
        base: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype_policy.name}
        if self.activity_regularizer is not None:
            base["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if type(self).get_config is not Layer.get_config:
            return base
        return self._remembered_arguments(base)

    def _remembered_arguments(self, base: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments that the constructor was called with, for classes that write no get_config."""
        if type(self).__init__ is Layer.__init__:
            return base
        args, kwargs = self._constructor
        given = signature_of(type(self).__init__).bind(args, kwargs)
        simple = (bool, int, float, str, type(None), list, tuple, dict)
        odd = [k for k, v in given.items() if not isinstance(v, simple)]
        if odd:
            raise NotImplementedError(
                f"{type(self).__name__} takes {odd}, which cannot be saved by itself; "
                f"write get_config in {type(self).__name__} that returns them in a form its constructor accepts"
            )
        accepted = signature_of(type(self).__init__)
        return {**{k: v for k, v in base.items() if accepted.accepts(k)}, **given}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer that ``config`` describes."""
        return cls(**config)

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shapes that the layer was built with."""
        return None if self._build_shapes is None else {"input_shape": self._build_shapes}

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Build the layer with the shapes of :meth:`get_build_config`."""
        if not config or self.built:
            return
        shape = config["input_shape"]
        if isinstance(shape, dict):
            self.build(**shape)
        else:
            self.build(tuple(shape) if shape and not isinstance(shape[0], (list, tuple)) else shape)
        self._build_shapes = shape
        self.built = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


_NOT_SEARCHED = frozenset({"_constructor", "_own_variables", "_losses", "_calls"})


def _found(value: Any, kind: type) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _found(item, kind)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _found(item, kind)


def _has_tensor(x: Any) -> bool:
    return any(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves(x))


def _shape_of(x: Any) -> Any:
    if isinstance(x, (Value, KerasTensor)):
        return tuple(d if isinstance(d, int) else None for d in x.shape)
    return tuple(np.shape(x)) if hasattr(x, "shape") else None


def _batch_size(x: Any) -> Any:
    """Return the number of samples, at least 1."""
    from nngraph.ops.core import shape
    from nngraph.ops.elementwise import maximum

    size = shape(x)[0] if len(x.shape) else 1
    return max(size, 1) if isinstance(size, int) else convert(maximum(size, 1), dtype_of(x))


def _tensors_of(shapes: Any, dtype: str) -> Any:
    if isinstance(shapes, dict):
        return {k: _tensors_of(v, dtype) for k, v in shapes.items()}
    if all(d is None or isinstance(d, int) for d in shapes):
        return KerasTensor(shapes, dtype)
    return [_tensors_of(s, dtype) for s in shapes]


def _policy(dtype: Any) -> config.DTypePolicy:
    if dtype is None:
        return config.dtype_policy()
    if isinstance(dtype, dict):
        inner = dtype.get("config", dtype)
        return config.DTypePolicy(inner["name"])
    return config.DTypePolicy(dtype if isinstance(dtype, str) else np.dtype(dtype).name)


def _old_input_shape(kind: str, kwargs: dict[str, Any]) -> tuple[int | None, ...] | None:
    """Take the spellings of old programs (``input_dim=8``) out of the keyword arguments, with a warning."""
    shape: tuple[int | None, ...] | None = None
    given = [k for k in ("input_dim", "input_shape", "batch_input_shape", "batch_shape") if k in kwargs]
    if not given:
        return None
    for key in given:
        value = kwargs.pop(key)
        if key == "input_dim":
            length = kwargs.pop("input_length", None)
            shape = (None, int(value)) if length is None else (None, length, int(value))
        elif key == "input_shape":
            shape = (None, *((value,) if isinstance(value, int) else tuple(value)))
        else:
            shape = tuple(value)
    warnings.warn(
        f"{kind}({given[0]}=...) is an old spelling; begin the model with Input(shape={shape[1:] if shape else ()})",
        stacklevel=4,
    )
    return shape
