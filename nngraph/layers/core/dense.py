"""The fully connected layer."""

from __future__ import annotations

from typing import Any

from nngraph import activations, constraints, initializers, ops, regularizers
from nngraph.layers.arguments import config_of, integer, no_quantization
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer
from nngraph.layers.low_rank import LowRank

__all__ = ["Dense"]


class Dense(LowRank, Layer):
    """Compute ``activation(inputs @ kernel + bias)`` along the last axis.

    Input ``(..., features)``, output ``(..., units)``; the kernel is ``(features, units)``, the bias ``(units,)``.

    Args:
        units: size of the output's last axis.
        activation: a name, a function or a layer; default none.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: initializers of the weights.
        kernel_regularizer, bias_regularizer: penalties on the weights.
        activity_regularizer: penalty on the output.
        kernel_constraint, bias_constraint: projections of the weights after each training step.
        lora_rank, lora_alpha: train two matrices of this rank instead of the kernel; see :meth:`enable_lora`.

    Raises:
        ValueError: ``units`` is not a positive integer; the input's last axis has another size than at first.

    Example:
        >>> layer = Dense(2, kernel_initializer="ones", bias_initializer="ones")
        >>> layer(np.array([[1.0, 2.0, 3.0]])).tolist()
        [[7.0, 7.0]]
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = integer(self, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None
        self._ask_lora(lora_rank, lora_alpha)
        no_quantization(self, quantization_config)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Create the kernel and the bias."""
        features = input_shape[-1]
        self._kernel = self.add_weight(
            name="kernel",
            shape=(features, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})
        self._enable_asked_lora()
        self.built = True

    def _adapted_variable(self) -> Any:
        return self._kernel

    @property
    def kernel(self) -> Any:
        """The kernel, low-rank weights included."""
        return self._adapted()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return ``activation(inputs @ kernel + bias)``."""
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(
                self,
                "units",
                "activation",
                "use_bias",
                "kernel_initializer",
                "bias_initializer",
                "kernel_regularizer",
                "bias_regularizer",
                "kernel_constraint",
                "bias_constraint",
            ),
            **self._lora_config(),
        }
