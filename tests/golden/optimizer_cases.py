"""Twenty steps of each optimizer on fixed gradients: by Keras once (generate.py) and by nngraph in the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.loss_cases import wave

STEPS = 20
REPORTED = (1, 3, 20)
SHAPES = {"kernel": (3, 2), "bias": (2,), "embeddings": (3, 2), "wide": (2, 4), "volume": (2, 1, 2)}
SCHEDULE = ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5})

# (class, arguments); a schedule is given as (class, arguments), too.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True}),
    ("SGD", {"learning_rate": 0.1, "weight_decay": 0.05}),
    ("SGD", {"learning_rate": 0.1, "clipnorm": 0.5}),
    ("SGD", {"learning_rate": 0.1, "clipvalue": 0.3}),
    ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.7}),
    ("SGD", {"learning_rate": 0.1, "global_clipnorm": 100.0}),
    ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.7}),
    ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 3}),
    ("SGD", {"learning_rate": 0.1, "loss_scale_factor": 4.0}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "gradient_accumulation_steps": 3}),
    ("SGD", {"learning_rate": SCHEDULE, "momentum": 0.9}),
    ("SGD", {"learning_rate": SCHEDULE, "gradient_accumulation_steps": 2}),
    ("RMSprop", {}),
    ("RMSprop", {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.9}),
    ("RMSprop", {"learning_rate": 0.01, "centered": True}),
    ("RMSprop", {"learning_rate": 0.01, "centered": True, "momentum": 0.5, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4}),
    ("Adam", {"learning_rate": 0.05, "amsgrad": True}),
    ("Adam", {"learning_rate": 0.05, "weight_decay": 0.02, "clipnorm": 1.0}),
    ("Adam", {"learning_rate": 0.05, "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.6}),
    (
        "Adam",
        {
            "learning_rate": 0.05,
            "gradient_accumulation_steps": 2,
            "use_ema": True,
            "ema_momentum": 0.6,
            "ema_overwrite_frequency": 2,
        },
    ),
    ("Adam", {"learning_rate": SCHEDULE, "global_clipnorm": 1.0, "loss_scale_factor": 2.0}),
    ("AdamW", {}),
    ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.1}),
    ("Adadelta", {}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-3}),
    ("Adagrad", {}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 1e-3}),
    ("Adamax", {}),
    ("Adamax", {"learning_rate": 0.1, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Nadam", {}),
    ("Nadam", {"learning_rate": 0.1, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Nadam", {"learning_rate": 0.1, "gradient_accumulation_steps": 2}),
    ("Ftrl", {}),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.7,
            "l1_regularization_strength": 0.05,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.2,
            "beta": 0.3,
        },
    ),
    ("Lion", {}),
    ("Lion", {"learning_rate": 0.01, "beta_1": 0.7, "beta_2": 0.8, "weight_decay": 0.1}),
    ("Lamb", {}),
    ("Lamb", {"learning_rate": 0.1, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Adafactor", {}),
    ("Adafactor", {"learning_rate": 0.5, "beta_2_decay": -0.6, "clip_threshold": 0.5}),
    ("Adafactor", {"learning_rate": 0.1, "relative_step": False, "epsilon_1": 1e-3, "epsilon_2": 0.1}),
    ("Muon", {}),
    ("Muon", {"learning_rate": 0.05, "rms_rate": None, "weight_decay": None, "adam_weight_decay": None}),
    ("Muon", {"learning_rate": 0.05, "nesterov": False, "momentum": 0.5, "ns_steps": 3, "exclude_layers": ["wide"]}),
    ("Muon", {"learning_rate": 0.05, "exclude_embeddings": False, "adam_lr_ratio": 0.3, "adam_weight_decay": 0.5}),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", {"learning_rate": 0.1, "warmup_steps": 5, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    ("ScheduleFreeAdamW", {"learning_rate": 0.1, "weight_decay": 0.1}),
]


def key(name: str, arguments: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{k}={v}' for k, v in arguments.items())})"


def starts() -> dict[str, np.ndarray]:
    return {name: wave(*shape, shift=k) for k, (name, shape) in enumerate(SHAPES.items())}


def gradients(step: int) -> list[np.ndarray]:
    """Gradients of step 0, 1, ..., of different sizes, one of them zero now and then."""
    found = [wave(*shape, step=1.3, shift=step + 2.0 * k) * (0.1 + 0.2 * k) for k, shape in enumerate(SHAPES.values())]
    return [g * (step % 4 != 1) if k == 1 else g for k, g in enumerate(found)]


def make(module: Any, name: str, arguments: dict[str, Any]) -> Any:
    """Return the optimizer of `module`: the optimizers of Keras, or ours."""
    built = dict(arguments)
    if isinstance(built.get("learning_rate"), tuple):
        cls, options = built["learning_rate"]
        built["learning_rate"] = getattr(module.schedules, cls)(**options)
    return getattr(module, name)(**built)


def run(optimizer: Any, variables: list[Any], apply: Callable[[list[np.ndarray]], Any]) -> list[list[float]]:
    """Return all numbers of all variables after the reported steps."""
    found = []
    for step in range(STEPS):
        apply(gradients(step))
        if step + 1 in REPORTED:
            found.append(np.concatenate([np.asarray(v, "float64").ravel() for v in variables]).tolist())
    return found


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 20, 21], "values": [1.0, 0.5, 0.1, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 12}),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 12, "end_learning_rate": 0.02, "power": 2.5, "cycle": True},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 30}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "alpha": 0.1}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.0, "decay_steps": 30, "warmup_target": 0.2, "warmup_steps": 8, "alpha": 0.1},
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.5, "m_mul": 0.8, "alpha": 0.05},
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.0, "m_mul": 0.5}),
]
TIMES = (0, 1, 2, 3, 4, 6, 7, 8, 12, 13, 20, 21, 22, 24, 30, 37, 38, 100, 1000)
