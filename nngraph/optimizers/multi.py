"""Different optimizers for different variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np

from nngraph.ops import Variable
from nngraph.optimizers.optimizer import Optimizer
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object

__all__ = ["MultiOptimizer", "OptimizerMap"]


class OptimizerMap(MutableMapping[str, Optimizer]):
    """A dict from patterns of variable paths to optimizers, and one optimizer for the rest.

    Looked up is the path of a variable, which a pattern must match from end to end.

    Args:
        default_optimizer: the optimizer of variables that no pattern matches.
        optimizer_map: a dict of patterns.

    Raises:
        TypeError: `default_optimizer` is no optimizer.
        ValueError: an entry is no optimizer, a pattern is entered twice, or several match one path.

    >>> from nngraph.optimizers.sgd import SGD
    >>> slow, fast = SGD(0.01), SGD(0.1)
    >>> table = OptimizerMap(slow, {"head/.*": fast})
    >>> table["head/kernel"] is fast, table["body/kernel"] is slow
    (True, True)
    """

    def __init__(self, default_optimizer: Any, optimizer_map: Any = None) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"default_optimizer must be an Optimizer. Received: {default_optimizer!r}")
        self._default_optimizer = default_optimizer
        self._table: dict[str, Optimizer] = {}
        for pattern, optimizer in (optimizer_map or {}).items():
            self[pattern] = optimizer

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of variables that no pattern matches."""
        return self._default_optimizer

    def __getitem__(self, key: str) -> Optimizer:
        """Return the optimizer of a pattern or of the path of a variable."""
        if key in self._table:
            return self._table[key]
        matching = [pattern for pattern in self._table if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"Several patterns match the variable {key!r}: {matching}. Make them exclude each other.")
        return self._table[matching[0]] if matching else self._default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if key in self._table:
            raise ValueError(f"The pattern {key!r} has an optimizer already; delete it first.")
        if not isinstance(optimizer, Optimizer):
            raise ValueError(f"The entry of pattern {key!r} must be an Optimizer. Received: {optimizer!r}")
        self._table[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._table[key]

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __contains__(self, key: object) -> bool:
        return key in self._table

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal map."""
        return {
            "default_optimizer": serialize_keras_object(self._default_optimizer),
            "optimizer_map": {pattern: serialize_keras_object(o) for pattern, o in self._table.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> OptimizerMap:
        """Build the map that `get_config` described."""
        table = {k: deserialize_keras_object(v, custom_objects) for k, v in config["optimizer_map"].items()}
        return cls(deserialize_keras_object(config["default_optimizer"], custom_objects), table)


class MultiOptimizer(Optimizer):
    """Gives each variable to one of several optimizers.

    Args:
        optimizer_map: an :class:`OptimizerMap`, or a function that returns the optimizer of a variable.
        loss_scale_factor: factor of the loss for all of them; default is what they have in common.
        name: default is the class name in snake case, numbered.

    Raises:
        ValueError: the optimizers scale the loss differently, or `optimizer_map` is neither map nor function.
        AttributeError: there is no one `learning_rate`; ask each of `optimizers`.

    >>> from nngraph.ops import Variable
    >>> from nngraph.optimizers.sgd import SGD
    >>> body, head = Variable(np.float32([1.0]), name="body"), Variable(np.float32([1.0]), name="head")
    >>> optimizer = MultiOptimizer(OptimizerMap(SGD(0.25), {"head": SGD(0.5)}))
    >>> optimizer.apply([np.float32([1.0]), np.float32([1.0])], [body, head])
    >>> float(body.numpy()[0]), float(head.numpy()[0])
    (0.75, 0.5)
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Variable], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(optimizer_map, OptimizerMap) and not callable(optimizer_map):
            raise ValueError(
                "MultiOptimizer: optimizer_map must be an OptimizerMap or a function from a variable to an optimizer. "
                f"Received: {optimizer_map!r}"
            )
        self._groups: dict[Optimizer, list[Variable]] = {}
        super().__init__(learning_rate=0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._variables = [self._iterations]  # learning rates are those of the optimizers
        self.optimizer_map = optimizer_map

    def build(self, variables: Sequence[Variable]) -> None:
        """Divide the variables among the optimizers and build those."""
        if self.built:
            return
        super().build(variables)
        for variable in variables:
            chosen = self.optimizer_map
            optimizer = chosen[variable.path] if isinstance(chosen, OptimizerMap) else chosen(variable)
            self._groups.setdefault(optimizer, []).append(variable)
        for optimizer, group in self._groups.items():
            if self._loss_scale_factor is not None:
                optimizer.loss_scale_factor = self._loss_scale_factor
            optimizer.build(group)
        factors = {optimizer.loss_scale_factor for optimizer in self._groups}
        if len(factors) > 1:
            raise ValueError(f"MultiOptimizer: all optimizers must have one loss_scale_factor. Received: {factors}")

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers that have variables, once they are divided."""
        return list(self._groups)

    @property
    def variables(self) -> list[Variable]:
        """The iteration, then the state of each optimizer."""
        return [*self._variables, *(v for optimizer in self._groups for v in optimizer.variables)]

    @property
    def loss_scale_factor(self) -> float | None:
        """The factor of the loss that all optimizers have; it can be set."""
        return next((o.loss_scale_factor for o in self._groups), self._loss_scale_factor)

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._loss_scale_factor = value
        for optimizer in self._groups:
            optimizer.loss_scale_factor = value

    @property
    def learning_rate(self) -> Any:
        """Not there: each optimizer has its own."""
        raise AttributeError("A MultiOptimizer has no learning_rate: read or set that of each of its .optimizers.")

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        raise AttributeError("A MultiOptimizer has no learning_rate: read or set that of each of its .optimizers.")

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Let each optimizer update its variables."""
        grads = list(grads)
        if not grads:
            return
        variables = self._variables_of_step(grads, trainable_variables)
        gradient_of = dict(zip(variables, grads, strict=True))
        for optimizer, group in self._groups.items():
            own = [v for v in group if gradient_of.get(v) is not None]
            if own:
                optimizer.apply([gradient_of[v] for v in own], own)
        self._iterations.assign_add(np.int64(1))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Do what each optimizer does at the end of training."""
        for optimizer in self._groups:
            optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which `from_config` builds an equal optimizer."""
        return {
            "optimizer_map": serialize_keras_object(self.optimizer_map),
            "loss_scale_factor": self._loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Build the optimizer that `get_config` described."""
        table = deserialize_keras_object(config["optimizer_map"], custom_objects=custom_objects)
        return cls(**{**config, "optimizer_map": table})
