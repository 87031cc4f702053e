"""The base of all optimizers: what every update rule shares, written once.

A rule is ``update_step(gradient, variable, learning_rate)`` in operations on variables. Traced, the updates of all
variables become part of the training step's graph; on arrays they happen at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from nngraph import ops
from nngraph.ir import numpy_dtype
from nngraph.naming import auto_name, snake_case
from nngraph.ops import Variable
from nngraph.optimizers.schedules.schedule import LearningRateSchedule, deserialize, serialize
from nngraph.saving import serialize_keras_object

__all__ = ["Optimizer"]


class Optimizer:
    """Changes variables by their gradients.

    Args:
        learning_rate: a number, a schedule, or a function of no arguments.
        weight_decay: the share of each variable that is subtracted, times the learning rate.
        clipnorm: largest norm of each gradient.
        clipvalue: largest magnitude of each gradient's entries.
        global_clipnorm: largest norm of all gradients together.
        use_ema: keep an exponential moving average of the variables.
        ema_momentum: its momentum.
        ema_overwrite_frequency: after how many steps the variables are replaced by their averages.
        loss_scale_factor: factor of the loss while gradients are taken.
        gradient_accumulation_steps: how many steps' gradients are averaged for one update.
        name: a name.

    Raises:
        ValueError: an argument is unknown or out of range, or two kinds of clipping are asked for.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """Names of the variables that the rule keeps beside each trained one, beginning at zero."""

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
        learning_rate = self._old_arguments(learning_rate, kwargs)
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
        self._check()
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._slots: dict[str, dict[Variable, Variable]] = {}
        self._averages: dict[Variable, Variable] = {}
        self._accumulated: dict[Variable, Variable] = {}
        self._undecayed: list[str] = []
        self._undecayed_variables: set[Variable] = set()
        self._iterations = self.add_variable((), "zeros", "int64", name="iteration")
        self._schedule: Callable[..., Any] | None = None
        if isinstance(learning_rate, LearningRateSchedule) or callable(learning_rate):
            self._schedule = learning_rate
        else:
            number = _number("learning_rate", learning_rate, type(self).__name__)
            self._learning_rate = self.add_variable((), np.float32(number), "float32", name="learning_rate")

    def _old_arguments(self, learning_rate: Any, kwargs: dict[str, Any]) -> Any:
        kind = type(self).__name__
        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
            warnings.warn(
                f"{kind}(lr=...) is an old spelling; write {kind}(learning_rate={learning_rate})", stacklevel=4
            )
        if kwargs.pop("decay", None):
            raise ValueError(
                f"{kind}(decay=...) is no longer there; pass learning_rate=schedules.InverseTimeDecay(...) instead"
            )
        if kwargs:
            raise ValueError(f"{kind} has no argument {sorted(kwargs)}; see its signature, learning_rate= is the first")
        return learning_rate

    def _check(self) -> None:
        kind = type(self).__name__
        for name in ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, (int, float)) or value < 0):
                raise ValueError(f"{kind}: {name} must be a number of at least 0, got {value!r}")
        if sum(v is not None for v in (self.clipnorm, self.clipvalue, self.global_clipnorm)) > 1:
            raise ValueError(f"{kind}: give only one of clipnorm, clipvalue and global_clipnorm")
        if self.use_ema and not 0 <= self.ema_momentum <= 1:
            raise ValueError(f"{kind}: ema_momentum must lie in [0, 1], got {self.ema_momentum!r}")
        for name in ("ema_overwrite_frequency", "gradient_accumulation_steps"):
            value = getattr(self, name)
            least = 1 if name[0] == "e" else 2
            if value is not None and (not isinstance(value, int) or value < least):
                raise ValueError(f"{kind}: {name} must be a whole number of at least {least}, or None; got {value!r}")

    # -- variables -------------------------------------------------------------------------------------------------

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        name: str | None = None,
    ) -> Variable:
        """Create a variable of the optimizer; ``initializer`` is ``"zeros"``, ``"ones"``, a number or an array."""
        values = {"zeros": 0, "ones": 1}.get(initializer, initializer) if isinstance(initializer, str) else initializer
        array = np.broadcast_to(np.asarray(values, numpy_dtype(dtype or "float32")), tuple(shape))
        variable = Variable(array, trainable=False, name=name)
        variable.path = f"{self.name}/{name}"
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Create a variable shaped like another."""
        label = f"{reference_variable.path.replace('/', '_')}_{name or 'slot'}"
        if isinstance(initializer, str) and initializer not in ("zeros", "ones"):
            raise ValueError(
                f"initializer of a slot must be 'zeros', 'ones', a number or an array, got {initializer!r}"
            )
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name=label)

    def slot(self, name: str, variable: Variable) -> Variable:
        """Return the variable that the rule keeps under ``name`` beside a trained one."""
        return self._slots[name][variable]

    def build(self, variables: Sequence[Variable]) -> None:
        """Create the slots of the variables to train."""
        if self.built:
            return
        self._trainable_variables = list(variables)
        if self.use_ema:
            self._averages = {v: self.add_variable_from_reference(v, "average") for v in variables}
        if self.gradient_accumulation_steps:
            self._accumulated = {v: self.add_variable_from_reference(v, "gradient_accumulator") for v in variables}
        for name in self.slot_names():
            start = self.slot_start(name)
            self._slots[name] = {v: self.add_variable_from_reference(v, name, start) for v in variables}
        self.built = True

    def slot_names(self) -> tuple[str, ...]:
        """Names of the slots that the rule needs with its present options."""
        return self.slots

    def slot_start(self, name: str) -> float:
        """The value at which a slot begins."""
        return 0.0

    @property
    def variables(self) -> list[Variable]:
        """All state: the iteration, the learning rate, the slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many updates have been made."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate: a variable, or with a schedule its present value."""
        return self._learning_rate if self._schedule is None else self._current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, LearningRateSchedule) or (callable(value) and not isinstance(value, Variable)):
            self._schedule = value
            return
        if self._schedule is not None:
            raise TypeError(
                "this optimizer has a learning rate schedule, so its learning rate cannot be set; "
                "make the optimizer with a number instead"
            )
        self._learning_rate.assign(np.float32(_number("learning_rate", value, type(self).__name__)))

    lr = learning_rate

    def _current_learning_rate(self) -> Any:
        if self._schedule is None:
            return self._learning_rate
        if isinstance(self._schedule, LearningRateSchedule):
            return self._schedule(self._iterations)
        return self._schedule()

    # -- applying --------------------------------------------------------------------------------------------------

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times the loss scale."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """Apply ``(gradient, variable)`` pairs."""
        pairs = list(grads_and_vars)
        return self.apply([g for g, _ in pairs], [v for _, v in pairs])

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> Any:
        """Update the variables by their gradients.

        Raises:
            ValueError: the counts differ, no gradient exists, or the optimizer was built for other variables.
        """
        if trainable_variables is None:
            if not self.built:
                raise ValueError("apply(grads) needs the variables at its first call: apply(grads, variables)")
            trainable_variables = self._trainable_variables
        variables, grads = list(trainable_variables), list(grads)
        if len(grads) != len(variables):
            raise ValueError(f"apply got {len(grads)} gradients for {len(variables)} variables")
        self.build(variables)
        known = set(self._trainable_variables)
        foreign = [v.path for v in variables if v not in known]
        if foreign:
            raise ValueError(
                f"optimizer {self.name!r} was built for other variables than {foreign}; compile the model again after "
                "changing which layers are trainable, or make a new optimizer"
            )
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        if not pairs:
            raise ValueError("no variable has a gradient: the loss does not depend on any of them")
        direct = [(g, v) for g, v in pairs if v.overwrite_with_gradient]
        for gradient, variable in direct:
            variable.assign(gradient)
        pairs = [(g, v) for g, v in pairs if not v.overwrite_with_gradient]
        if self.loss_scale_factor is not None:
            pairs = [(g / self.loss_scale_factor, v) for g, v in pairs]
        if pairs:
            self._apply_pairs(pairs)
        for _, variable in pairs:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))
        self._iterations.assign_add(np.int64(1))
        return self._iterations

    def _apply_pairs(self, pairs: list[tuple[Any, Variable]]) -> None:
        if not self.gradient_accumulation_steps:
            self._update(pairs)
        else:
            self._accumulate(pairs)
        if self.use_ema:
            self._update_averages([v for _, v in pairs])

    def _accumulate(self, pairs: list[tuple[Any, Variable]]) -> None:
        """Update every n-th step with the mean of the last n gradients; other steps leave all but the sums alone."""
        steps = self.gradient_accumulation_steps
        assert steps is not None
        due = ops.equal(ops.mod(self._iterations + np.int64(1), np.int64(steps)), np.int64(0))
        sums = [(g + self._accumulated[v], v) for g, v in pairs]
        touched = [v for _, v in pairs]
        touched += [s for slots in self._slots.values() for v, s in slots.items()] + self.extra_state()
        before = [(v, v.value) for v in touched]
        self._update([(s / steps, v) for s, v in sums])
        for variable, old in before:
            variable.assign(ops.where(due, variable.value, old))
        for total, variable in sums:
            self._accumulated[variable].assign(ops.where(due, ops.zeros_like(total), total))

    def extra_state(self) -> list[Variable]:
        """Variables of the rule that belong to no single trained variable."""
        return []

    def _update(self, pairs: list[tuple[Any, Variable]]) -> None:
        grads = self._clipped([g for g, _ in pairs])
        variables = [v for _, v in pairs]
        rate = ops.convert_to_tensor(self._current_learning_rate())
        for variable in variables:
            decay = self.decay_of(variable)
            if decay is not None and self._use_weight_decay(variable):
                variable.assign(variable.value - variable.value * (ops.cast(rate, variable.dtype) * decay))
        self.begin_update()
        for gradient, variable in zip(grads, variables, strict=True):
            self.update_step(ops.cast(gradient, variable.dtype), variable, ops.cast(rate, variable.dtype))

    def decay_of(self, variable: Variable) -> float | None:
        """Return a variable's weight decay, or ``None``."""
        return self.weight_decay

    def begin_update(self) -> None:
        """Compute once what all variables' updates share."""

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Change one variable; the rule of the optimizer."""
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate)")

    def step_number(self, dtype: str = "float32") -> Any:
        """Return the number of the update in progress, counted from 1."""
        return ops.cast(self.iterations + np.int64(1), dtype)

    # -- clipping, decay, averages ---------------------------------------------------------------------------------

    def _clipped(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm:
            return [_clip_by_norm(g, self.clipnorm) for g in grads]
        if self.global_clipnorm:
            total = sum((ops.sum(ops.square(g)) for g in grads[1:]), start=ops.sum(ops.square(grads[0])))
            norm = ops.sqrt(total)
            scale = self.global_clipnorm * ops.minimum(1.0 / norm, 1.0 / self.global_clipnorm)
            # An infinite norm gives NaN on purpose, so that it is noticed.
            scale = scale + (norm - norm)
            return [g * scale for g in grads]
        if self.clipvalue:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Leave variables, or those whose names contain a text, out of weight decay; call it before the first step."""
        if self.built:
            raise ValueError("exclude_from_weight_decay must be called before the optimizer is built")
        self._undecayed_variables = set(var_list or ())
        self._undecayed = list(var_names or ())

    def _use_weight_decay(self, variable: Variable) -> bool:
        return variable not in self._undecayed_variables and not any(n in variable.path for n in self._undecayed)

    def _update_averages(self, variables: Sequence[Variable]) -> None:
        started = ops.cast(ops.not_equal(self._iterations, np.int64(0)), "float32")
        for variable in variables:
            average = self._averages[variable]
            momentum = ops.cast(started, variable.dtype) * self.ema_momentum  # the first average is the variable itself
            average.assign(momentum * average.value + (1 - momentum) * variable.value)
        if self.ema_overwrite_frequency:
            step = self._iterations + np.int64(1)
            due = ops.equal(ops.mod(step, np.int64(self.ema_overwrite_frequency)), np.int64(0))
            for variable in variables:
                variable.assign(ops.where(due, self._averages[variable].value, variable.value))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """At the end of training, replace the variables by their moving averages, if those are kept."""
        if self.use_ema and self.built:
            for variable in var_list:
                if variable in self._averages:
                    variable.assign(self._averages[variable].numpy())

    # -- configuration ---------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        if isinstance(self._schedule, LearningRateSchedule):
            rate: Any = serialize(self._schedule)
        elif self._schedule is not None:
            rate = serialize_keras_object(self._schedule)
        else:
            rate = float(self._learning_rate.numpy())
        names = (
            *("weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema", "ema_momentum"),
            *("ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps"),
        )
        return {"name": self.name, "learning_rate": rate, **{n: getattr(self, n) for n in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make the optimizer that ``config`` describes."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize(config["learning_rate"], custom_objects=custom_objects)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _clip_by_norm(gradient: Any, limit: float) -> Any:
    norm2 = ops.sum(ops.square(gradient))
    positive = ops.greater(norm2, 0.0)
    # The root of 0 has no derivative, so 0 is replaced before it is taken.
    norm = ops.where(positive, ops.sqrt(ops.where(positive, norm2, ops.ones_like(norm2))), norm2)
    return gradient * limit / ops.maximum(norm, limit)


def _number(name: str, value: Any, kind: str) -> float:
    if isinstance(value, bool) or not (
        isinstance(value, (int, float, np.number)) or (np.ndim(value) == 0 and hasattr(value, "dtype"))
    ):
        raise ValueError(f"{kind}: {name} must be a number, a schedule or a function, got {value!r}")
    return float(value)
