"""A fully connected layer over chosen axes."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from nngraph import activations, constraints, initializers, ops, regularizers
from nngraph.layers.arguments import config_of, layer_name, no_quantization
from nngraph.layers.layer import Layer
from nngraph.layers.low_rank import LowRank

__all__ = ["EinsumDense"]


class EinsumDense(LowRank, Layer):
    """Multiply the input with a kernel as an Einstein sum says, add a bias and apply an activation.

    Args:
        equation: such as ``"abc,cd->abd"`` or ``"...x,xy->...y"``: labels of input, kernel and output.
        output_shape: sizes of the output without the batch (``None`` where the input decides), or the one last size.
        activation: a name, a function or a layer; default none.
        bias_axes: labels of the output along which the bias varies; default: there is no bias.
        kernel_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        kernel_constraint, bias_constraint: projections of the weights after each training step.
        lora_rank, lora_alpha: train two matrices of this rank instead of the kernel; see :meth:`enable_lora`.

    Raises:
        ValueError: the equation cannot be read, or a size that the kernel needs is not known.

    Example:
        >>> layer = EinsumDense("abc,cd->abd", output_shape=(None, 64), bias_axes="d")
        >>> layer(np.ones((1, 5, 32))).shape, layer.kernel.shape, layer.bias.shape
        ((1, 5, 64), (32, 64), (64,))
    """

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.equation = equation
        self._labels = _parse(self, equation)
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None
        self._ask_lora(lora_rank, lora_alpha)
        no_quantization(self, quantization_config or gptq_unpacked_column_size)

    def build(self, input_shape: Any) -> None:
        """Create the kernel and, where ``bias_axes`` is given, the bias."""
        labels, kernel_labels, out_labels = self._expanded(len(input_shape))
        sizes = dict(zip(labels, input_shape, strict=True))
        output_sizes = self._output_sizes(out_labels, sizes)
        self.full_output_shape = tuple(output_sizes[c] for c in out_labels)
        self._kernel = self.add_weight(
            name="kernel",
            shape=self._kernel_shape(kernel_labels, {**output_sizes, **sizes}),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.bias_axes is not None:
            self.bias = self.add_weight(
                name="bias",
                shape=self._bias_shape(out_labels, output_sizes),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self._enable_asked_lora()
        self.built = True

    def _expanded(self, rank: int) -> tuple[str, str, str]:
        """Return the labels with ``...`` written out as letters that the equation does not use."""
        left, kernel, right = self._labels
        given = len(left.replace("...", ""))
        if "..." not in left:
            if given != rank:
                raise ValueError(f"equation {self.equation!r} is for inputs of {given} dimensions, got {rank}")
            return left, kernel, right
        spare = [c for c in string.ascii_letters if c not in left + kernel + right][: rank - given]
        if rank < given:
            raise ValueError(f"equation {self.equation!r} is for inputs of at least {given} dimensions, got {rank}")
        return left.replace("...", "".join(spare)), kernel, right.replace("...", "".join(spare))

    def _output_sizes(self, labels: str, sizes: dict[str, int | None]) -> dict[str, int | None]:
        """Return a size for each label of the output: the given one, or else the input's."""
        given = self.partial_output_shape
        right = self._labels[2]
        if right.startswith("..."):
            named = labels[len(labels) - len(given) :]
        elif right.endswith("..."):
            elided = len(labels) - len(right) + 3
            named = labels[: len(labels) - elided][-len(given) :]
        else:
            named = labels[1:]
        if len(named) != len(given):
            raise ValueError(
                f"output_shape {given} has {len(given)} sizes; the equation {self.equation!r} needs {len(named)}, "
                "one for each label of the output but the batch"
            )
        asked = dict(zip(named, given, strict=True))
        for label, size in asked.items():
            if size is not None and sizes.get(label) not in (None, size):
                raise ValueError(
                    f"output_shape says {size} for {label!r} of the equation {self.equation!r}, "
                    f"the input says {sizes[label]}"
                )
        found = {}
        for label in labels:
            if label not in sizes and label not in asked:
                raise ValueError(
                    f"equation {self.equation!r}: neither input nor output_shape has the size of {label!r}"
                )
            size = sizes.get(label)
            found[label] = asked.get(label) if size is None else size
        return found

    def _kernel_shape(self, labels: str, sizes: dict[str, int | None]) -> Any:
        for label in labels:
            if label not in sizes:
                raise ValueError(f"equation {self.equation!r}: {label!r} of the kernel is in neither input nor output")
        return tuple(sizes[label] for label in labels)

    def _bias_shape(self, labels: str, sizes: dict[str, int | None]) -> Any:
        axes = self.bias_axes or ""
        for label in axes:
            if label not in labels:
                raise ValueError(f"bias_axes {axes!r}: {label!r} is not among the output's labels of {self.equation!r}")
        first = min((labels.index(label) for label in axes), default=len(labels))
        return tuple(sizes[c] if c in axes else 1 for c in labels[first:])

    def _adapted_variable(self) -> Any:
        return self._kernel

    @property
    def kernel(self) -> Any:
        """The kernel, low-rank weights included."""
        return self._adapted()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the activation of the Einstein sum plus the bias."""
        x = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            **config_of(
                self,
                "equation",
                "activation",
                "bias_axes",
                "kernel_initializer",
                "bias_initializer",
                "kernel_regularizer",
                "bias_regularizer",
                "kernel_constraint",
                "bias_constraint",
            ),
            **self._lora_config(),
        }


def _parse(layer: Any, equation: Any) -> tuple[str, str, str]:
    """Return the labels of input, kernel and output."""
    text = equation.replace(" ", "") if isinstance(equation, str) else ""
    left, arrow, output = text.partition("->")
    inputs, comma, kernel = left.partition(",")
    fits = arrow and comma and "." not in kernel and ("..." in inputs) == ("..." in output)
    letters = (inputs + kernel + output).replace("...", "")
    if not fits or not letters.isalpha():
        raise ValueError(
            f"{layer_name(layer)}: equation must look like 'ab,bc->ac', '...x,xy->...y' or 'ab...,bc->ac...', "
            f"got {equation!r}"
        )
    for part in (inputs, output):
        inner = part.replace("...", "", 1)
        if "." in inner or not (part.startswith("...") or part.endswith("...") or part == inner):
            raise ValueError(
                f"{layer_name(layer)}: '...' must stand at the beginning or the end of {part!r} in {equation!r}"
            )
    return inputs, kernel, output
