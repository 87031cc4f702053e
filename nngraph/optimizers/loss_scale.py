"""Dynamic loss scaling, for training in half precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import ops
from nngraph.ops import Variable
from nngraph.ops.trace import recorded_under
from nngraph.optimizers.clipping import are_finite
from nngraph.optimizers.optimizer import Optimizer, select_changes
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object

__all__ = ["LossScaleOptimizer"]


class LossScaleOptimizer(Optimizer):
    """Scales the loss as far as gradients stay finite, and leaves out the steps in which they do not.

    The scale doubles after `dynamic_growth_steps` finite steps in a row and halves after one that is not finite.

    Args:
        inner_optimizer: the optimizer that updates the variables; clipping, decay and averages are its own.
        initial_scale: the first scale.
        dynamic_growth_steps: see above.
        name: default is the class name in snake case, numbered.

    Raises:
        ValueError: another argument is given, which belongs to `inner_optimizer`.

    >>> from nngraph.ops import Variable
    >>> from nngraph.optimizers.sgd import SGD
    >>> optimizer = LossScaleOptimizer(SGD(0.5), initial_scale=4.0)
    >>> v = Variable(np.float32([1, 2]))
    >>> optimizer.apply([np.float32([4, 4])], [v]); v.numpy().tolist()
    [0.5, 1.5]
    >>> optimizer.apply([np.float32([4, np.inf])], [v]); v.numpy().tolist(), float(optimizer.dynamic_scale)
    ([0.5, 1.5], 2.0)
    """

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 32768.0,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(inner_optimizer, Optimizer):
            raise ValueError(f"LossScaleOptimizer: inner_optimizer must be an Optimizer. Received: {inner_optimizer!r}")
        if kwargs:
            raise ValueError(f"LossScaleOptimizer does not take {sorted(kwargs)}: give them to the inner_optimizer.")
        super().__init__(learning_rate=0.0, name=name)
        self._variables.clear()  # iterations and learning rate are those of the inner optimizer
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        self.step_counter = self.add_variable((), dtype="int32", name="step_counter")
        self.dynamic_scale = self.add_variable((), initial_scale, "float32", name="dynamic_scale")

    def build(self, variables: Sequence[Variable]) -> None:
        """Create what the inner optimizer keeps beside the variables."""
        if self.built:
            return
        super().build(variables)
        self.inner_optimizer.build(variables)

    @property
    def variables(self) -> list[Variable]:
        """The counter, the scale, and the state of the inner optimizer."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def iterations(self) -> Any:
        """How many updates have been made; steps that were left out do not count."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times the present scale."""
        return self.inner_optimizer.scale_loss(loss * ops.cast(self.dynamic_scale.value, ops.dtype_of(loss)))

    def check_finite(self, grads: Sequence[Any]) -> Any:
        """Return whether all entries of all gradients are finite."""
        return are_finite([g for g in grads if g is not None])

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update variables by their gradients if those are finite, and adapt the scale."""
        grads = list(grads)
        if not grads:
            return
        variables = self._variables_of_step(grads, trainable_variables)
        with recorded_under(f"optimizer/{self.name}"):
            scale = self.dynamic_scale.value
            finite = self.check_finite(grads)
            with select_changes(finite, [*variables, *self.inner_optimizer.variables]):
                unscaled = [None if g is None else g / ops.cast(scale, ops.dtype_of(g)) for g in grads]
                self.inner_optimizer.apply(unscaled, variables)
            steps = self.step_counter.value
            grows = ops.equal(steps, np.int32(self.dynamic_growth_steps - 1))
            counted = ops.where(grows, np.int32(0), steps + np.int32(1))
            self.step_counter.assign(ops.where(finite, counted, np.int32(0)))
            self.dynamic_scale.assign(ops.where(finite, ops.where(grows, scale * 2.0, scale), scale * 0.5))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Do what the inner optimizer does at the end of training."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal optimizer."""
        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Build the optimizer that `get_config` described."""
        inner = deserialize_keras_object(config["inner_optimizer"], custom_objects=custom_objects)
        return cls(**{**config, "inner_optimizer": inner})
