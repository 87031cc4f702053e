"""A recurrent layer in both directions of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngraph import ops
from nngraph.layers.arguments import layer_name, one_of
from nngraph.layers.layer import Layer
from nngraph.layers.rnn.rnn import RNN
from nngraph.layers.signature import signature_of
from nngraph.saving.registry import deserialize_keras_object, serialize_keras_object

__all__ = ["Bidirectional"]


class Bidirectional(Layer):
    """Run a copy of a recurrent layer forwards and another backwards, and merge their outputs.

    Input ``(batch, steps, features)``. With ``return_state`` the states of the forward layer follow the output, then
    those of the backward layer; ``initial_state`` has the same order.

    Args:
        layer: a recurrent layer, or another with ``go_backwards``, ``return_sequences`` and ``return_state``.
        merge_mode: ``"concat"``, ``"sum"``, ``"mul"``, ``"ave"``, or ``None`` for both outputs.
        weights: arrays for the weights of both layers, forward first.
        backward_layer: the layer for the backward direction, if it is to be another.

    Raises:
        ValueError: ``layer`` cannot go backwards, both layers have the same direction, or return different things.

    Example:
        >>> from nngraph.layers import LSTM
        >>> Bidirectional(LSTM(4))(np.ones((2, 5, 3), "float32")).shape
        (2, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        for given in (layer, backward_layer):
            lacking = [a for a in ("go_backwards", "return_sequences", "return_state") if not hasattr(given, a)]
            if given is not None and (not isinstance(given, Layer) or lacking):
                raise ValueError(
                    f"Bidirectional takes a recurrent layer such as LSTM(8), with {', '.join(lacking) or 'call'}; "
                    f"got {given!r}"
                )
        if merge_mode is not None:
            one_of(self, "merge_mode", merge_mode, ("concat", "sum", "mul", "ave"))
        name = layer.name.removeprefix("forward_")
        super().__init__(**{"name": None, "trainable": layer.trainable, **kwargs})
        self.merge_mode = merge_mode
        self.forward_layer = _copy(layer, name=f"forward_{name}", go_backwards=layer.go_backwards)
        if backward_layer is None:
            backward_layer = _copy(layer, name=f"backward_{name}", go_backwards=not layer.go_backwards)
        self.backward_layer = backward_layer
        self._check_pair()
        for each in (self.forward_layer, self.backward_layer):
            if isinstance(each, RNN):
                each.zero_output_for_mask = True
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.stateful = getattr(layer, "stateful", False)
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._first_weights = weights

    def _check_pair(self) -> None:
        first, second = self.forward_layer, self.backward_layer
        if first.go_backwards == second.go_backwards:
            raise ValueError(
                f"Bidirectional: layer and backward_layer both have go_backwards={first.go_backwards}; "
                "give one of them the other direction"
            )
        for argument in ("stateful", "return_sequences", "return_state"):
            values = [getattr(each, argument, None) for each in (first, second)]
            if values[0] != values[1]:
                raise ValueError(
                    f"Bidirectional: layer has {argument}={values[0]} and backward_layer {argument}={values[1]}; "
                    "they must be equal"
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Build both layers."""
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.path = f"{self.path}/{layer.name}"
                layer.build(sequences_shape)
                layer._build_shapes = sequences_shape
                layer.built = True
        if self._first_weights is not None:
            self.set_weights(self._first_weights)
        self.built = True

    @property
    def states(self) -> Any:
        """The states of stateful layers, forward first."""
        first, second = self.forward_layer.states, self.backward_layer.states
        return None if first is None else (*first, *second)

    def reset_state(self) -> None:
        """Set the states of stateful layers to zeros."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        """Return the merged outputs, and the states if asked for."""
        halves: list[Any] = [None, None]
        if initial_state is not None:
            if len(initial_state) % 2:
                raise ValueError(
                    f"initial_state must hold the forward layer's states and then as many of the backward layer; "
                    f"got {len(initial_state)} tensors"
                )
            middle = len(initial_state) // 2
            halves = [list(initial_state[:middle]), list(initial_state[middle:])]
        first = _run(self.forward_layer, sequences, halves[0], mask, training)
        second = _run(self.backward_layer, sequences, halves[1], mask, training)
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*first[1:], *second[1:])
            first, second = first[0], second[0]
        merged = self._merged(first, second)
        if not self.return_state:
            return merged
        return (*merged, *states) if self.merge_mode is None else (merged, *states)

    def _merged(self, first: Any, second: Any) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([first, second], axis=-1)
        if self.merge_mode == "sum":
            return ops.add(first, second)
        if self.merge_mode == "ave":
            return ops.multiply(ops.add(first, second), 0.5)
        if self.merge_mode == "mul":
            return ops.multiply(first, second)
        return first, second

    def compute_mask(self, inputs: Any, mask: Any) -> Any:
        """Return the mask of the outputs: the inputs' for sequences, none for single outputs and states."""
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        own = mask if self.return_sequences else None
        masks = [own, own] if self.merge_mode is None else [own]
        if self.return_state:
            masks += [None] * (2 * _state_count(self.forward_layer))
        return masks if len(masks) > 1 else own

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, both layers described among them."""
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make the layer that ``config`` describes."""
        layers = {
            key: deserialize_keras_object(config[key], custom_objects=custom_objects)
            for key in ("layer", "backward_layer")
            if config.get(key) is not None
        }
        return cls(**{**config, **layers})


def _copy(layer: Any, **changes: Any) -> Any:
    config = serialize_keras_object(layer)
    if not isinstance(config.get("config"), dict):
        raise ValueError(f"{layer_name(layer)} cannot be copied: its get_config returns no dictionary")
    # The copy has weights of its own, so what the original was built on does not matter.
    own = {**config["config"], **changes}
    return deserialize_keras_object({**{k: v for k, v in config.items() if k != "build_config"}, "config": own})


def _run(layer: Any, sequences: Any, state: Any, mask: Any, training: bool | None) -> Any:
    """Call one of the layers; sequences come in the order of time whichever way it goes."""
    accepts = signature_of(type(layer).call).accepts
    given = {"initial_state": state, "mask": mask, "training": training}
    kwargs = {k: v for k, v in given.items() if v is not None and accepts(k)}
    if isinstance(layer, RNN):
        layer._in_order_of_time = True
        try:
            return layer(sequences, **kwargs)
        finally:
            layer._in_order_of_time = False
    result = layer(sequences, **kwargs)
    if not (layer.go_backwards and layer.return_sequences):
        return result
    if layer.return_state:
        return (ops.flip(result[0], axis=1), *result[1:])
    return ops.flip(result, axis=1)


def _state_count(layer: Any) -> int:
    size = getattr(layer, "state_size", None)
    return len(size) if isinstance(size, list) else 1
