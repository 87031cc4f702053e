"""The base of all optimizers: what every update rule shares, written once.

A rule is `update_step(gradient, variable, learning_rate)` in operations on variables. Traced, the updates of all
variables become part of the training step's graph; on arrays they happen at once.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nngraph import initializers, ops
from nngraph.ir import standardize_dtype
from nngraph.naming import auto_name, snake_case
from nngraph.ops import Variable
from nngraph.ops.trace import recorded_under
from nngraph.optimizers.clipping import clip_by_global_norm, clip_by_norm
from nngraph.optimizers.joined import Joined, is_elementwise, join_small
from nngraph.optimizers.schedules.schedule import LearningRateSchedule
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object
from nngraph.stateless import StatelessScope

__all__ = ["Optimizer", "select_changes"]

_COMMON = (
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


class Optimizer:
    """Base of optimizers: objects that change variables by the gradients of the loss.

    A subclass defines `update_step`. What it keeps for each variable it names in `slots`, or makes in `build`.

    Args:
        learning_rate: a number, a schedule, or a function of no arguments (a number that it returns while a step is
            compiled stays).
        weight_decay: each step takes this share of a variable, times the learning rate, off it.
        clipnorm: largest Euclidean norm of each gradient.
        clipvalue: largest magnitude of each gradient's entries.
        global_clipnorm: largest Euclidean norm of all gradients together.
        use_ema: keep an exponential moving average of the variables, which they become at the end of training.
        ema_momentum: its momentum.
        ema_overwrite_frequency: after how many steps the variables become their averages during training, too.
        loss_scale_factor: the loss is multiplied with it, and gradients are divided by it.
        gradient_accumulation_steps: one update with the mean gradient of so many steps.
        name: default is the class name in snake case, numbered.

    Raises:
        ValueError: an argument is unknown or out of range, or two kinds of clipping are asked for.

    >>> from nngraph.ops import Variable
    >>> class Descent(Optimizer):
    ...     def update_step(self, gradient, variable, learning_rate):
    ...         variable.assign(variable - learning_rate * gradient)
    >>> v = Variable(np.float32([1, 2]))
    >>> optimizer = Descent(learning_rate=0.5)
    >>> optimizer.apply([np.float32([1, 1])], [v]); v.numpy().tolist()
    [0.5, 1.5]
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the variables that the rule keeps beside each trained one, beginning at zero."""

    options: ClassVar[tuple[str, ...]] = ()
    """Names of the arguments that a subclass adds, kept as attributes: `get_config` returns them."""

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        learning_rate = self._from_old_arguments(learning_rate, kwargs)
        self.name = name or auto_name(snake_case(type(self).__name__))
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_arguments()
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._indices: dict[Variable, int] = {}
        self._slots: dict[str, dict[Variable, Variable]] = {}
        self._model_variables_moving_average: list[Variable] = []
        self._accumulated_gradients: list[Variable] = []
        self._undecayed_names: list[str] = []
        self._undecayed_variables: set[Variable] = set()
        self._shared: dict[tuple[str, str], Any] | None = None
        # 64 bits, so that a long training never starts to count anew.
        self._iterations = self.add_variable((), dtype="int64", name="iteration")
        self._learning_rate: Any = self._checked_rate(learning_rate)
        if isinstance(self._learning_rate, float):
            self._learning_rate = self.add_variable((), self._learning_rate, "float32", name="learning_rate")

    def _from_old_arguments(self, learning_rate: Any, kwargs: dict[str, Any]) -> Any:
        """Return the learning rate, also where it has its old name; complain about what is unknown."""
        kind = type(self).__name__
        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
            warnings.warn(f"{kind}(lr=...) is an old spelling: write {kind}(learning_rate=...).", stacklevel=4)
        if "decay" in kwargs:
            decay = kwargs.pop("decay")
            if decay:
                warnings.warn(
                    f"{kind}(decay={decay}) is ignored, as in Keras 3. For its effect write {kind}(learning_rate="
                    f"schedules.InverseTimeDecay({learning_rate!r}, decay_steps=1, decay_rate={decay})).",
                    stacklevel=4,
                )
        if kwargs:
            raise ValueError(f"Argument(s) not recognized by {kind}: {kwargs}")
        return learning_rate

    def _check_arguments(self) -> None:
        kind = type(self).__name__
        for name in ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value >= 0):
                raise ValueError(f"{kind}: {name} must be a number >= 0, or None. Received: {name}={value!r}")
        clips = ("clipnorm", "clipvalue", "global_clipnorm")
        if sum(getattr(self, name) is not None for name in clips) > 1:
            received = ", ".join(f"{name}={getattr(self, name)}" for name in clips)
            raise ValueError(
                f"{kind}: only one of clipnorm, clipvalue, global_clipnorm can be set. Received: {received}"
            )
        if self.use_ema and not (_is_number(self.ema_momentum) and 0 <= self.ema_momentum <= 1):
            raise ValueError(f"{kind}: ema_momentum must lie in [0, 1]. Received: ema_momentum={self.ema_momentum!r}")
        for name, least in (("ema_overwrite_frequency", 1), ("gradient_accumulation_steps", 2)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, (int, np.integer)) or value < least):
                raise ValueError(f"{kind}: {name} must be an integer >= {least}, or None. Received: {name}={value!r}")

    def _checked_rate(self, rate: Any) -> Any:
        """Return a number as a float; a schedule or function as it is."""
        if isinstance(rate, LearningRateSchedule) or (callable(rate) and not isinstance(rate, (Variable, Optimizer))):
            return rate
        if _is_number(rate) or (hasattr(rate, "dtype") and np.ndim(rate) == 0):
            return float(rate)
        raise ValueError(
            f"{type(self).__name__}: learning_rate must be a number, a LearningRateSchedule, or a function that "
            f"returns a number. Received: learning_rate={rate!r}"
        )

    # -- variables -----------------------------------------------------------------------------------------------------

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Create a variable of the optimizer; `initializer` is a name, a function, a number or an array."""
        if isinstance(initializer, (str, dict, type)):
            initializer = initializers.get(initializer)
        kind = standardize_dtype(dtype or "float32")
        variable = Variable(
            initializer, shape=tuple(shape), dtype=kind, trainable=False, aggregation=aggregation, name=name
        )
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Create a variable with the shape and dtype of another, named after it."""
        label = f"{(reference_variable.path or reference_variable.name).replace('/', '_')}_{name or 'var'}"
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name=label)

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: str | Sequence[str], initializer: Any = "zeros"
    ) -> Any:
        """Create a variable beside each trained one, and return them as a list.

        For several names (and as many initializers, or one for all) the result is a tuple of lists.
        """
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, (list, tuple))
        starts = list(initializer) if several else [initializer] * len(names)
        rows: list[list[Variable]] = [[] for _ in names]
        for variable in trainable_variables:
            for row, label, start in zip(rows, names, starts, strict=True):
                row.append(self.add_variable_from_reference(variable, label, start))
        return rows[0] if isinstance(name, str) else tuple(rows)

    def build(self, variables: Sequence[Variable]) -> None:
        """Create what is kept beside the variables to train; a second call does nothing."""
        if self.built:
            return
        variables = list(variables)
        self._trainable_variables = variables
        self._indices = {v: k for k, v in enumerate(variables)}
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = self.add_optimizer_variables(variables, "gradient_accumulator")
        names = self.slot_names()
        self._slots = {name: {} for name in names}
        for variable in variables:
            if not variable.overwrite_with_gradient:
                for name in names:
                    start = self.slot_start(name)
                    self._slots[name][variable] = self.add_variable_from_reference(variable, name, start)
        self.built = True

    def slot_names(self) -> tuple[str, ...]:
        """Return the names of the slots that the rule needs with its present options."""
        return self.slots

    def slot_start(self, name: str) -> Any:
        """Return the initializer of a slot."""
        return "zeros"

    def slot(self, name: str, variable: Any) -> Any:
        """Return what the rule keeps under `name` beside a trained variable."""
        slots = self._slots[name]
        if isinstance(variable, Joined):
            return Joined([slots[v] for v in variable.variables])
        return slots[variable]

    def _get_variable_index(self, variable: Variable) -> int:
        """Return the place of a trained variable in the lists of `add_optimizer_variables`."""
        return self._indices[variable]

    @property
    def variables(self) -> list[Variable]:
        """All state: the iteration, the learning rate if it is a number, the slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many updates have been made, an integer variable; with accumulation, steps divided by their number."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, np.int64(self.gradient_accumulation_steps))
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable if it is a number, else the present value of the schedule or function."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(self._iterations)
        return self._learning_rate()

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        rate = self._checked_rate(learning_rate)
        if not isinstance(rate, float):
            if isinstance(self._learning_rate, Variable):
                self._variables.remove(self._learning_rate)
            self._learning_rate = rate
            return
        if not isinstance(self._learning_rate, Variable):
            raise TypeError(
                f"Optimizer {self.name!r} has a learning rate schedule, so its learning rate cannot be set. Give the "
                "constructor a number instead, learning_rate=0.001."
            )
        self._learning_rate.assign(np.float32(rate))

    @property
    def lr(self) -> Any:
        """The learning rate under its old name."""
        return self.learning_rate

    @lr.setter
    def lr(self, learning_rate: Any) -> None:
        self.learning_rate = learning_rate

    # -- one step ------------------------------------------------------------------------------------------------------

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable; a subclass defines it.

        A rule that treats every entry by itself may be marked with `@elementwise` (`nngraph.optimizers.joined`): small
        vectors are then updated together, the rule's `variable` standing for several.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate).")

    def begin_update(self) -> None:
        """Do what a step needs once, before the variables are updated."""

    def shared(self, name: str, dtype: str, compute: Callable[[], Any]) -> Any:
        """Return `compute()` in a dtype: in one step once for all variables, under `name`."""
        if self._shared is None:
            return ops.cast(compute(), dtype)
        key = (name, dtype)
        if key not in self._shared:
            self._shared[key] = ops.cast(compute(), dtype)
        return self._shared[key]

    def step_number(self, dtype: str) -> Any:
        """Return the number of the update in progress, counted from 1."""
        return self.shared("step number", dtype, lambda: self.iterations + np.int64(1))

    def bias(self, beta: float, dtype: str) -> Any:
        """Return 1 - beta^t for the update t in progress: what a mean that began at zero lacks."""
        step = self.step_number(dtype)
        return self.shared(f"bias {beta}", dtype, lambda: 1.0 - ops.power(ops.cast(beta, dtype), step))

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss of which gradients are taken."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """Update variables, given as pairs (gradient, variable); return the iterations."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update variables by their gradients; without variables, those that the optimizer was built for.

        Raises:
            ValueError: the counts differ, no gradient exists, or the optimizer was built for other variables.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._variables_of_step(grads, trainable_variables)
        with recorded_under(f"optimizer/{self.name}"):
            pairs = self._existing(grads, variables)
            pairs = self._overwrite_directly(pairs)
            if self.loss_scale_factor is not None:
                pairs = [(g / self.loss_scale_factor, v) for g, v in pairs]
            if pairs:
                self._apply_pairs(pairs)
            for _, variable in pairs:
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable.value))
            self._iterations.assign_add(np.int64(1))

    def _variables_of_step(self, grads: Sequence[Any], given: Sequence[Variable] | None) -> list[Variable]:
        if given is None:
            if not self.built:
                raise ValueError(
                    f"Optimizer {self.name!r} was given gradients without variables before it was built: call "
                    "apply(grads, trainable_variables), or build(trainable_variables) first."
                )
            given = self._trainable_variables
        variables = list(given)
        if len(grads) != len(variables):
            raise ValueError(
                f"Optimizer {self.name!r}: {len(grads)} gradients were given for {len(variables)} variables."
            )
        self.build(variables)
        foreign = [v.path for v in variables if v not in self._indices]
        if foreign:
            raise ValueError(
                f"Optimizer {self.name!r} was built for other variables than {foreign}. Compile the model again after "
                "changing which layers are trainable, or make a new optimizer."
            )
        return variables

    def _existing(self, grads: Sequence[Any], variables: Sequence[Variable]) -> list[tuple[Any, Variable]]:
        """Return the pairs that have a gradient."""
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        if not pairs:
            raise ValueError("No variable has a gradient: the loss depends on none of them.")
        if len(pairs) < len(variables):
            lost = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
            warnings.warn(f"The loss does not depend on the variables {lost}; they stay as they are.", stacklevel=4)
        return pairs

    def _overwrite_directly(self, pairs: Sequence[tuple[Any, Variable]]) -> list[tuple[Any, Variable]]:
        """Set variables whose "gradient" is their next value, and return the other pairs."""
        for gradient, variable in pairs:
            if not variable.overwrite_with_gradient:
                continue
            if not self.gradient_accumulation_steps:
                variable.assign(ops.cast(gradient, variable.dtype))
                continue
            largest = self._accumulated_gradients[self._get_variable_index(variable)]
            value = ops.maximum(ops.cast(gradient, variable.dtype), largest.value)
            due = self._is_due(self.gradient_accumulation_steps)
            largest.assign(ops.where(due, ops.zeros_like(value), value))
            variable.assign(ops.where(due, value, variable.value))
        return [(g, v) for g, v in pairs if not v.overwrite_with_gradient]

    def _is_due(self, frequency: int) -> Any:
        """Return whether the step in progress is the last of `frequency`."""
        return ops.equal(ops.mod(self._iterations + np.int64(1), np.int64(frequency)), np.int64(0))

    def _apply_pairs(self, pairs: Sequence[tuple[Any, Variable]]) -> None:
        if self.gradient_accumulation_steps:
            self._accumulate(pairs, self.gradient_accumulation_steps)
        else:
            self._update(pairs)
        if self.use_ema:
            self._update_averages()

    def _accumulate(self, pairs: Sequence[tuple[Any, Variable]], steps: int) -> None:
        """Update every n-th step with the mean of the last n gradients; other steps change the sums alone."""
        due = self._is_due(steps)
        slots = [self._accumulated_gradients[self._get_variable_index(v)] for _, v in pairs]
        sums = [ops.cast(g, s.dtype) + s.value for (g, _), s in zip(pairs, slots, strict=True)]
        apart = {self._iterations, *self._model_variables_moving_average, *self._accumulated_gradients}
        state = [v for v in self._variables if v not in apart]
        with select_changes(due, [*(v for _, v in pairs), *state]):
            self._update([(total / steps, v) for total, (_, v) in zip(sums, pairs, strict=True)])
        for slot, total in zip(slots, sums, strict=True):
            slot.assign(ops.where(due, ops.zeros_like(total), total))

    def _update(self, pairs: Sequence[tuple[Any, Variable]]) -> None:
        variables = [v for _, v in pairs]
        grads = self._clipped([ops.cast(g, v.dtype) for g, v in pairs])
        self._shared = {}
        try:
            rate = ops.convert_to_tensor(self.learning_rate)
            self._decay_weights(variables, rate)
            self.begin_update()
            changes: Any = zip(grads, variables, strict=True)
            if is_elementwise(self.update_step):
                changes = join_small(changes)
            for gradient, variable in changes:
                dtype = variable.dtype
                self.update_step(gradient, variable, self.shared("learning rate", dtype, lambda: rate))
        finally:
            self._shared = None

    def _clipped(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm:
            return [clip_by_norm(g, self.clipnorm) for g in grads]
        if self.global_clipnorm:
            return clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    # -- weight decay --------------------------------------------------------------------------------------------------

    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Leave variables, or those in whose path a pattern is found, out of weight decay.

        Raises:
            ValueError: the optimizer is built already.
        """
        if self.built:
            raise ValueError("exclude_from_weight_decay() must be called before the optimizer is built.")
        self._undecayed_variables = set(var_list or ())
        self._undecayed_names = list(var_names or ())

    def _use_weight_decay(self, variable: Variable) -> bool:
        if variable in self._undecayed_variables:
            return False
        return not any(re.search(pattern, variable.path or variable.name) for pattern in self._undecayed_names)

    def _decay_of(self, variable: Variable) -> float | None:
        """Return the weight decay of a variable."""
        return self.weight_decay

    def _decay_weights(self, variables: Sequence[Variable], rate: Any) -> None:
        for variable in variables:
            share = self._decay_of(variable) if self._use_weight_decay(variable) else None
            if not share:
                continue
            # 1 - share * rate would be rounded, every time in the same direction.
            lost = self.shared(f"decay {share}", variable.dtype, lambda share=share: rate * share)  # type: ignore[misc]
            variable.assign(variable.value - variable.value * lost)

    # -- moving averages -----------------------------------------------------------------------------------------------

    def _update_averages(self) -> None:
        begun = ops.cast(ops.not_equal(self.iterations, np.int64(0)), "float32")
        momentum = begun * self.ema_momentum  # the first average is the variable itself
        pairs = list(zip(self._trainable_variables, self._model_variables_moving_average, strict=True))
        for variable, average in pairs:
            share = ops.cast(momentum, variable.dtype)
            average.assign(share * average.value + (1.0 - share) * variable.value)
        if not self.ema_overwrite_frequency:
            return
        step = self.iterations + np.int64(1)
        due = ops.equal(ops.mod(step, np.int64(self.ema_overwrite_frequency)), np.int64(0))
        for variable, average in pairs:
            variable.assign(ops.where(due, average.value, variable.value))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """At the end of training, set the variables to their moving averages, if those are kept."""
        if not self.use_ema or not self.built:
            return
        for variable in var_list:
            if variable in self._indices:
                variable.assign(self._model_variables_moving_average[self._indices[variable]].value)

    # -- state from outside --------------------------------------------------------------------------------------------

    def assign(self, variable: Variable, value: Any) -> None:
        """Set a variable."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any], trainable_variables: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Return the values of the trained variables and of the optimizer's after a step from the given values.

        Raises:
            ValueError: the optimizer is not built, or the counts differ.
        """
        if not self.built:
            raise ValueError(f"Optimizer {self.name!r} must be built before stateless_apply(): call build(variables).")
        given = (*trainable_variables, *optimizer_variables)
        variables = [*self._trainable_variables, *self.variables]
        if len(given) != len(variables) or len(trainable_variables) != len(self._trainable_variables):
            raise ValueError(
                f"Optimizer {self.name!r} has {len(self._trainable_variables)} trained variables and "
                f"{len(self.variables)} of its own. Received: {len(trainable_variables)} and {len(optimizer_variables)}"
            )
        with StatelessScope(zip(variables, given, strict=True)) as scope:
            self.apply(grads, self._trainable_variables)
        count = len(self._trainable_variables)
        values = [scope.get_current_value(v) for v in variables]
        return values[:count], values[count:]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all variables from arrays, in the order of `variables`.

        Raises:
            ValueError: the counts or shapes differ.
        """
        self._set_all(list(weights))

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Write the arrays of all variables into a dict under "0", "1" and so on."""
        store.update({str(k): v.numpy() for k, v in enumerate(self.variables)})

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Set all variables from what `save_own_variables` wrote."""
        self._set_all([store[str(k)] for k in range(len(store))])

    def _set_all(self, arrays: list[Any]) -> None:
        variables = self.variables
        if len(arrays) != len(variables):
            raise ValueError(
                f"Optimizer {self.name!r} has {len(variables)} variables. Received: {len(arrays)} arrays. Build it for "
                "the same variables first."
            )
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(np.asarray(array))

    # -- configuration -------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal optimizer."""
        rate: Any = self._learning_rate
        if isinstance(rate, Variable):
            rate = float(str(rate.numpy()))  # 0.001, not 0.0010000000474974513
        else:
            rate = serialize_keras_object(rate)
        names = (*_COMMON, *self.options)
        return {"name": self.name, "learning_rate": rate, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Build the optimizer that `get_config` described."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize_keras_object(config["learning_rate"], custom_objects=custom_objects)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


@contextlib.contextmanager
def select_changes(condition: Any, variables: Iterable[Variable]) -> Iterator[None]:
    """Let the changes that a block makes to variables count only where a condition of the graph holds."""
    before = [(v, v.value) for v in dict.fromkeys(variables)]
    yield
    for variable, old in before:
        new = variable.value
        if new is not old:  # in a graph, what was not assigned is the same value
            variable.assign(ops.where(condition, new, old))


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.number)) and not isinstance(x, bool)
