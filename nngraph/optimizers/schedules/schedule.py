"""The base of learning rate schedules."""

from __future__ import annotations

from typing import Any

from nngraph.saving import deserialize_keras_object, serialize_keras_object

__all__ = ["LearningRateSchedule", "deserialize", "serialize"]


class LearningRateSchedule:
    """A learning rate as a function of the step; subclass it with ``__call__`` written in operations.

    Example:
        >>> class Halving(LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 0.1 * 0.5 ** float(step)
        >>> Halving()(2)
        0.025
    """

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step, a number or a graph value."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, step)")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; subclasses that are saved write this."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config(self) to be saved")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the schedule that ``config`` describes."""
        return cls(**config)


def serialize(learning_rate_schedule: Any) -> Any:
    """Return the configuration of a schedule."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the schedule that :func:`serialize` described."""
    return deserialize_keras_object(config, custom_objects=custom_objects)
