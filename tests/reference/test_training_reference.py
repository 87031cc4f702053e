"""The same as Keras: loss curves over 20 steps, for every optimizer with its options and for every loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nngraph
from nngraph.layers import Dense

pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:.*jax.*"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 16, 6)).astype("float32")  # 20 batches of 16 rows
STEPS = 20


def curves(make: Any, y: np.ndarray, units: int, activation: str | None) -> tuple[list[float], list[float]]:
    """Train one layer of 5 and an output layer in both packages from the same weights; return the losses."""
    import keras

    found: list[list[float]] = []
    weights = None
    for package, dense in ((nngraph, Dense), (keras, keras.layers.Dense)):
        model = package.Sequential(
            [package.Input((6,)), dense(5, activation="tanh"), dense(units, activation=activation, use_bias=True)]
        )
        if weights is None:
            rng = np.random.default_rng(1)
            weights = [rng.normal(scale=0.5, size=w.shape).astype("float32") for w in model.weights]
        model.set_weights(weights)
        optimizer, loss = make(package)
        model.compile(optimizer=optimizer, loss=loss)
        losses = []
        for k in range(STEPS):
            model.reset_metrics()
            losses.append(float(np.asarray(model.train_on_batch(X[k], y[k]))))
        found.append(losses)
    return found[0], found[1]


OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"learning_rate": 0.05}),
    "SGD momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    "SGD nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "RMSprop": ("RMSprop", {"learning_rate": 0.01}),
    "RMSprop centered momentum": ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5, "centered": True}),
    "Adam": ("Adam", {"learning_rate": 0.01}),
    "Adam amsgrad": ("Adam", {"learning_rate": 0.01, "amsgrad": True}),
    "AdamW": ("AdamW", {"learning_rate": 0.01}),
    "Adamax": ("Adamax", {"learning_rate": 0.01}),
    "Adagrad": ("Adagrad", {"learning_rate": 0.05}),
    "Adadelta": ("Adadelta", {"learning_rate": 1.0}),
    "Adafactor": ("Adafactor", {"learning_rate": 0.05}),
    "Adafactor absolute": ("Adafactor", {"learning_rate": 0.05, "relative_step": False}),
    "Nadam": ("Nadam", {"learning_rate": 0.01}),
    "Ftrl": ("Ftrl", {"learning_rate": 0.05, "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.01}),
    "Lion": ("Lion", {"learning_rate": 0.001}),
    "Lamb": ("Lamb", {"learning_rate": 0.01}),
    "Muon": ("Muon", {"learning_rate": 0.01}),
    "ScheduleFreeAdamW": ("ScheduleFreeAdamW", {"learning_rate": 0.01, "warmup_steps": 5}),
    "weight decay": ("SGD", {"learning_rate": 0.05, "weight_decay": 0.1}),
    "clipnorm": ("SGD", {"learning_rate": 0.05, "clipnorm": 0.1}),
    "clipvalue": ("SGD", {"learning_rate": 0.05, "clipvalue": 0.05}),
    "global_clipnorm": ("SGD", {"learning_rate": 0.05, "global_clipnorm": 0.1}),
    "EMA": ("Adam", {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 4}),
    "accumulation": ("Adam", {"learning_rate": 0.01, "gradient_accumulation_steps": 3}),
    "loss scale": ("Adam", {"learning_rate": 0.01, "loss_scale_factor": 128.0}),
}

SCHEDULES: dict[str, dict[str, Any]] = {
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.5, "staircase": True},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5},
    "PiecewiseConstantDecay": {"boundaries": [4, 9], "values": [0.1, 0.03, 0.01]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 7, "power": 2.0, "cycle": True},
    "CosineDecay": {"initial_learning_rate": 0.01, "decay_steps": 10, "warmup_target": 0.1, "warmup_steps": 5},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 4, "m_mul": 0.8},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_follow_the_same_curve(name: str) -> None:
    kind, options = OPTIMIZERS[name]
    y = np.tanh(X[..., :2] * 1.5)
    ours, theirs = curves(lambda p: (getattr(p.optimizers, kind)(**options), "mse"), y, 2, None)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_follow_the_same_curve(name: str) -> None:
    def make(package: Any) -> Any:
        schedule = getattr(package.optimizers.schedules, name)(**SCHEDULES[name])
        return package.optimizers.SGD(schedule, momentum=0.5), "mse"

    ours, theirs = curves(make, np.tanh(X[..., :2]), 2, None)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def targets(kind: str) -> tuple[np.ndarray, int, str | None]:
    """Return targets, output units and output activation for a kind of loss."""
    labels = (X[..., 0] > 0).astype("int64") + (X[..., 1] > 0)
    if kind == "real":
        return np.tanh(X[..., :3]), 3, None
    if kind == "positive":
        return np.exp(0.3 * X[..., :3]), 3, "softplus"
    if kind == "sign":
        return np.sign(X[..., :3]).astype("float32"), 3, "tanh"
    if kind == "binary":
        return (X[..., :3] > 0).astype("float32"), 3, "sigmoid"
    if kind == "onehot":
        return np.eye(3, dtype="float32")[labels], 3, "softmax"
    if kind == "sparse":
        return labels, 3, "softmax"
    return labels, 3, None  # embeddings


LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "MeanSquaredError": ("real", {}),
    "MeanAbsoluteError": ("real", {}),
    "MeanAbsolutePercentageError": ("positive", {}),
    "MeanSquaredLogarithmicError": ("positive", {}),
    "CosineSimilarity": ("real", {}),
    "Huber": ("real", {"delta": 0.5}),
    "LogCosh": ("real", {}),
    "Poisson": ("positive", {}),
    "KLDivergence": ("onehot", {}),
    "Hinge": ("sign", {}),
    "SquaredHinge": ("sign", {}),
    "CategoricalHinge": ("onehot", {}),
    "BinaryCrossentropy": ("binary", {"label_smoothing": 0.1}),
    "BinaryFocalCrossentropy": ("binary", {"apply_class_balancing": True}),
    "CategoricalCrossentropy": ("onehot", {"label_smoothing": 0.1}),
    "CategoricalFocalCrossentropy": ("onehot", {}),
    "CategoricalGeneralizedCrossEntropy": ("sparse", {}),
    "SparseCategoricalCrossentropy": ("sparse", {}),
    "Dice": ("binary", {}),
    "Tversky": ("binary", {"alpha": 0.3, "beta": 0.7}),
    "Circle": ("embedding", {}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_follow_the_same_curve(name: str) -> None:
    kind, options = LOSSES[name]
    y, units, activation = targets(kind)
    rate = 0.001 if name == "Circle" else 0.05  # Circle's gradients are so large that a long step ends in chaos
    ours, theirs = curves(lambda p: (p.optimizers.SGD(rate), getattr(p.losses, name)(**options)), y, units, activation)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.parametrize("name", ["CategoricalCrossentropy", "SparseCategoricalCrossentropy", "BinaryCrossentropy"])
def test_losses_from_logits(name: str) -> None:
    y, units, _ = targets({"C": "onehot", "S": "sparse", "B": "binary"}[name[0]])
    ours, theirs = curves(lambda p: (p.optimizers.SGD(0.05), getattr(p.losses, name)(from_logits=True)), y, units, None)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_every_loss_and_optimizer_is_in_the_tables() -> None:
    from nngraph import losses, optimizers

    bases = {"Loss", "LossFunctionWrapper"}
    assert {n for n in losses.__all__ if n[0].isupper()} - bases == set(LOSSES)
    special = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}
    covered = {kind for kind, _ in OPTIMIZERS.values()}
    assert {n for n in optimizers.__all__ if n[0].isupper()} - special == covered
