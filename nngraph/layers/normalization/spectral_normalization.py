"""A layer whose kernel is divided by its largest singular value."""

from __future__ import annotations

from typing import Any

from nngraph import initializers, ops
from nngraph.layers.arguments import config_of, integer, layer_name
from nngraph.layers.core.wrapper import Wrapper
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.layer import Layer

__all__ = ["SpectralNormalization"]


class SpectralNormalization(Wrapper):
    """Keep the largest singular value of a layer's kernel near 1.

    At every training call one or more steps of the power iteration estimate the value, and the kernel is divided by it.
    Miyato et al., "Spectral normalization for generative adversarial networks", 2018.

    Args:
        layer: a layer with a ``kernel`` or ``embeddings``.
        power_iterations: steps of the iteration at each call.

    Raises:
        ValueError: ``power_iterations`` is not positive, or the layer has no such weight.

    Example:
        >>> from nngraph.layers import Dense
        >>> layer = SpectralNormalization(Dense(2, use_bias=False), power_iterations=20)
        >>> _ = layer(np.ones((1, 2)), training=True)
        >>> print(np.linalg.norm(layer.layer.kernel.numpy(), 2).round(2))
        1.0
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = integer(self, "power_iterations", power_iterations)

    def build(self, input_shape: Any = None) -> None:
        """Build the layer and create the left singular vector's estimate."""
        super().build(input_shape)
        self.input_spec = InputSpec(shape=[None, *input_shape[1:]])
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if kernel is None:
            raise ValueError(
                f"{layer_name(self.layer)} {self.layer.name!r} has neither a kernel nor embeddings to normalise"
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            name="vector_u",
            shape=(1, kernel.shape[-1]),
            initializer=initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
        )

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Return what the layer returns with its kernel normalised."""
        if training:
            vector_u, kernel = self.normalized_weights()
            self.vector_u.assign(ops.cast(vector_u, self.vector_u.dtype))
            self.kernel.assign(ops.cast(kernel, self.kernel.dtype))
        return self.layer(inputs)

    def normalized_weights(self) -> tuple[Any, Any]:
        """Return the next estimate of the singular vector, and the kernel divided by the singular value."""
        weights = ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))
        u = self.vector_u
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, ops.transpose(weights)))
            u = ops.normalize(ops.matmul(v, weights))
        # The vectors are constants for gradients; the value depends on the kernel.
        u, v = ops.stop_gradient(u), ops.stop_gradient(v)
        sigma = ops.matmul(ops.matmul(v, weights), ops.transpose(u))
        return u, ops.reshape(ops.divide(weights, sigma), self.kernel.shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the layer described among them."""
        return {**super().get_config(), **config_of(self, "power_iterations")}
