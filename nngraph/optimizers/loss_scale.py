"""Dynamic loss scaling, for training in half precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nngraph import ops
from nngraph.ops import Variable
from nngraph.optimizers.optimizer import Optimizer
from nngraph.saving import deserialize_keras_object, serialize_keras_object

__all__ = ["LossScaleOptimizer"]


class LossScaleOptimizer(Optimizer):
    """Scales the loss as far as gradients stay finite, and leaves out the steps in which they do not.

    The scale doubles after ``dynamic_growth_steps`` finite steps in a row and halves after one that is not.

    Args:
        inner_optimizer: the optimizer that updates the variables.
        initial_scale: the first scale.
        dynamic_growth_steps: see above.
        name: a name.

    Raises:
        ValueError: ``inner_optimizer`` scales the loss itself.
    """

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 32768.0,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if inner_optimizer.loss_scale_factor:
            raise ValueError(
                "LossScaleOptimizer scales the loss; its inner_optimizer must not, "
                f"got loss_scale_factor={inner_optimizer.loss_scale_factor}"
            )
        super().__init__(learning_rate=0.0, name=name, **kwargs)
        self._variables.clear()  # its own rate and counter are the inner optimizer's
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        self.step_counter = self.add_variable((), 0, "int32", name="step_counter")
        self.dynamic_scale = self.add_variable((), initial_scale, "float32", name="dynamic_scale")

    def build(self, variables: Sequence[Variable]) -> None:
        """Create the inner optimizer's slots."""
        self.inner_optimizer.build(variables)
        self._trainable_variables = list(variables)
        self.built = True

    @property
    def variables(self) -> list[Variable]:
        """The scale, the counter, and the inner optimizer's state."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def iterations(self) -> Any:
        """How many updates have been made."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's learning rate."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss times the present scale."""
        return loss * ops.cast(self.dynamic_scale.value, ops.dtype_of(loss))

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> Any:
        """Update the variables if all gradients are finite."""
        variables = list(self._trainable_variables if trainable_variables is None else trainable_variables)
        self.build(variables)
        scale = self.dynamic_scale.value
        finite = self.check_finite(grads)
        state = [*variables, *self.inner_optimizer.variables]
        before = [(v, v.value) for v in state]
        self.inner_optimizer.apply(
            [None if g is None else g / ops.cast(scale, ops.dtype_of(g)) for g in grads], variables
        )
        for variable, old in before:
            variable.assign(ops.where(finite, variable.value, old))
        steps = self.step_counter.value
        grows = ops.equal(steps, np.int32(self.dynamic_growth_steps - 1))
        counted = ops.where(grows, np.int32(0), steps + np.int32(1))
        self.step_counter.assign(ops.where(finite, counted, np.int32(0)))
        raised = ops.where(grows, scale * 2.0, scale)
        self.dynamic_scale.assign(ops.where(finite, raised, scale * 0.5))
        return self.iterations

    def check_finite(self, grads: Sequence[Any]) -> Any:
        """Return whether all gradients are finite."""
        checks = [ops.all(ops.isfinite(g)) for g in grads if g is not None]
        result = checks[0]
        for check in checks[1:]:
            result = ops.logical_and(result, check)
        return result

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Let the inner optimizer finish."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make the optimizer that ``config`` describes."""
        inner = deserialize_keras_object(config["inner_optimizer"], custom_objects=custom_objects)
        return cls(**{**config, "inner_optimizer": inner})
