"""Normalisation by the statistics of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nngraph import config, initializers, ops
from nngraph.layers.arguments import config_of, fraction, layer_name
from nngraph.layers.input_spec import InputSpec
from nngraph.layers.normalization.parameters import ScaleAndShift, axes_from_front

__all__ = ["BatchNormalization"]


class BatchNormalization(ScaleAndShift):
    """Give every feature mean 0 and variance 1 over the batch, then scale and shift it.

    While training, the batch's own mean and (biased) variance are used and moving averages of them are kept; otherwise
    (also when the layer is frozen with ``trainable = False``) the moving averages are used.
    Ioffe and Szegedy, "Batch normalization", 2015.

    Args:
        axis: the axis of the features.
        momentum: share of the old value in the moving averages.
        epsilon: added to the variance.
        center: whether ``beta`` is added.
        scale: whether it is multiplied by ``gamma``.
        beta_initializer, gamma_initializer: initializers of the weights.
        moving_mean_initializer, moving_variance_initializer: first values of the moving averages.
        beta_regularizer, gamma_regularizer: penalties on the weights.
        beta_constraint, gamma_constraint: projections of the weights after each training step.
        renorm: correct the batch's statistics towards the moving ones while training.
        renorm_clipping: limits of the correction: a dict with some of ``rmin``, ``rmax`` and ``dmax``.
        renorm_momentum: share of the old value in the averages that the correction uses.
        synchronized: accepted and without effect; training runs on one device.

    Call arguments:
        inputs: features on ``axis``.
        training: whether the batch's statistics are used.
        mask: booleans of the shape of the inputs' first axes; places that are false do not count in the statistics.

    Raises:
        ValueError: the number of features is unknown or changes.

    Example:
        >>> layer = BatchNormalization()
        >>> y = layer(np.array([[1.0], [3.0]]), training=True)
        >>> y.round(2).tolist(), layer.moving_variance.numpy().tolist()
        ([[-1.0], [1.0]], [1.0])
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Mapping[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        if not isinstance(axis, int):
            raise ValueError(f"{layer_name(self)}: axis must be an integer, got {axis!r}")
        self.axis = axis
        self.momentum = fraction(self, "momentum", momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm = renorm
        self.renorm_clipping = _limits(self, renorm_clipping) if renorm else renorm_clipping
        self.renorm_momentum = fraction(self, "renorm_momentum", renorm_momentum)
        self.synchronized = synchronized

    def build(self, input_shape: Any) -> None:
        """Create the weights and the moving averages."""
        (axis,) = axes_from_front([self.axis], input_shape)
        size = input_shape[axis]
        if size is None:
            raise ValueError(
                f"the number of features, axis {self.axis}, must be known, got shape {tuple(input_shape)}; "
                "give it in Input(shape=...)"
            )
        self.add_scale_and_shift((size,))
        self.moving_mean = self._average("moving_mean", size, self.moving_mean_initializer)
        self.moving_variance = self._average("moving_variance", size, self.moving_variance_initializer)
        if self.renorm:
            self.moving_stddev = self._average("moving_stddev", size, "ones")
            self.renorm_mean = self._average("renorm_mean", size, "zeros")
            self.renorm_stddev = self._average("renorm_stddev", size, "ones")
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: size})
        self.built = True

    def _average(self, name: str, size: int, initializer: Any) -> Any:
        return self.add_weight(name=name, shape=(size,), initializer=initializer, trainable=False, autocast=False)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the normalised inputs."""
        if not (training and self.trainable):
            return ops.batch_normalization(
                inputs, self.moving_mean, self.moving_variance, self.axis, self.beta, self.gamma, self.epsilon
            )
        if mask is None and not self.renorm:
            outputs, mean, variance = ops.batch_normalization_training(
                inputs, self.axis, self.beta, self.gamma, self.epsilon
            )
            self._update(mean, variance)
            return outputs
        mean, variance = self._moments(inputs, mask)
        if self.renorm:
            return self._renormalized(inputs, mean, variance)
        self._update(mean, variance)
        return ops.batch_normalization(inputs, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)

    def _moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        """Return mean and variance of each feature over the places that count."""
        rank = len(inputs.shape)
        over = tuple(k for k in range(rank) if k != self.axis % rank)
        if mask is None:
            return ops.moments(inputs, over)
        dtype = ops.dtype_of(inputs)
        weights = ops.cast(mask, dtype)
        weights = ops.reshape(weights, (*ops.shape(weights), *(1,) * (rank - len(weights.shape))))
        # The sums run over the inputs' places; a mask that lacks axes counts for all entries along them.
        weights = ops.broadcast_to(
            weights, [1 if k == self.axis % rank else d for k, d in enumerate(ops.shape(inputs))]
        )
        count = ops.add(ops.sum(weights, axis=over, keepdims=True), config.epsilon())
        mean = ops.divide(ops.sum(ops.multiply(inputs, weights), axis=over, keepdims=True), count)
        distances = ops.multiply(ops.square(ops.subtract(inputs, mean)), weights)
        variance = ops.divide(ops.sum(distances, axis=over, keepdims=True), count)
        return ops.squeeze(mean, over), ops.squeeze(variance, over)

    def _update(self, mean: Any, variance: Any) -> None:
        self._move(self.moving_mean, mean, self.momentum)
        self._move(self.moving_variance, variance, self.momentum)

    def _move(self, average: Any, value: Any, momentum: float) -> None:
        value = ops.cast(ops.stop_gradient(value), average.dtype)
        average.assign(ops.add(ops.multiply(average, momentum), ops.multiply(value, 1.0 - momentum)))

    def _renormalized(self, inputs: Any, mean: Any, variance: Any) -> Any:
        """Return the inputs normalised by the batch and then corrected as if by the moving averages.

        Ioffe, "Batch renormalization", 2017: r = σ / σ_moving and d = (μ - μ_moving) / σ_moving, both constants for
        gradients.
        """
        limits = self.renorm_clipping or {}
        stddev = ops.sqrt(ops.add(variance, self.epsilon))
        r = ops.divide(stddev, self.renorm_stddev)
        d = ops.divide(ops.subtract(mean, self.renorm_mean), self.renorm_stddev)
        if "rmin" in limits:
            r = ops.maximum(r, limits["rmin"])
        if "rmax" in limits:
            r = ops.minimum(r, limits["rmax"])
        if "dmax" in limits:
            d = ops.clip(d, -limits["dmax"], limits["dmax"])
        r, d = ops.stop_gradient(r), ops.stop_gradient(d)
        scale = r if self.gamma is None else ops.multiply(r, self.gamma)
        offset = d if self.gamma is None else ops.multiply(d, self.gamma)
        offset = offset if self.beta is None else ops.add(offset, self.beta)
        outputs = ops.batch_normalization(inputs, mean, variance, self.axis, offset, scale, self.epsilon)
        self._move(self.renorm_mean, mean, self.renorm_momentum)
        self._move(self.renorm_stddev, stddev, self.renorm_momentum)
        self._move(self.moving_mean, mean, self.momentum)
        self._move(self.moving_stddev, stddev, self.momentum)
        square = ops.subtract(ops.square(self.moving_stddev), self.epsilon)
        self.moving_variance.assign(ops.relu(square))
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            **config_of(
                self,
                "momentum",
                "moving_mean_initializer",
                "moving_variance_initializer",
                "synchronized",
                "renorm",
                "renorm_clipping",
                "renorm_momentum",
            ),
        }


def _limits(layer: Any, clipping: Mapping[str, float] | None) -> dict[str, float]:
    given = dict(clipping or {})
    unknown = sorted(set(given) - {"rmin", "rmax", "dmax"})
    if unknown:
        raise ValueError(f"{layer_name(layer)}: renorm_clipping has the keys rmin, rmax and dmax, got {unknown}")
    return given
