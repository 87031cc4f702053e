"""Samples of the recurrent operators: all their outputs, directions, lengths, states and attributes."""

from __future__ import annotations

import numpy as np
from sample import S, Sample, normal

STEPS, BATCH, INPUTS, UNITS = 3, 2, 2, 2
LENGTHS = np.array([2, 3], np.int32)
NARROW = "onnx.reference knows neither lengths, nor all directions and activations"


def small(*shape: int) -> np.ndarray:
    """Return numbers for which no activation is nearly constant."""
    return 0.5 * normal(*shape)


def cell(
    op: str,
    *,
    directions: int = 1,
    lengths: bool = False,
    bias: bool = True,
    states: bool = True,
    peepholes: bool = False,
    **attributes,
) -> Sample:
    """Return a sample in which every optional input is there or not."""
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    batch_first = attributes.get("layout", 0)
    state = (BATCH, directions, UNITS) if batch_first else (directions, BATCH, UNITS)
    inputs = [
        small(BATCH, STEPS, INPUTS) if batch_first else small(STEPS, BATCH, INPUTS),
        small(directions, gates * UNITS, INPUTS),
        small(directions, gates * UNITS, UNITS),
        small(directions, 2 * gates * UNITS) if bias else None,
        LENGTHS if lengths else None,
        small(*state) if states else None,
    ]
    if op == "LSTM":
        inputs += [small(*state) if states else None, small(directions, 3 * UNITS) if peepholes else None]
    while inputs[-1] is None:
        inputs.pop()
    sample = S(*inputs, hidden_size=UNITS, **attributes).but(outputs=3 if op == "LSTM" else 2)
    return sample.but(reference=False, why=NARROW)


def cells(op: str) -> list[Sample]:
    """What the three operators have in common."""
    return [
        cell(op),
        cell(op, bias=False, states=False, direction="reverse"),
        cell(op, directions=2, lengths=True, direction="bidirectional"),
        cell(op, lengths=True, direction="reverse", layout=1),
    ]


SAMPLES = {
    "RNN": [
        *cells("RNN"),
        cell("RNN", activations=("Softsign",), clip=0.4),
        cell("RNN", activations=("LeakyRelu",), activation_alpha=(0.3,)),
        cell("RNN", activations=("Affine",), activation_alpha=(0.7,), activation_beta=(0.1,)),
        cell("RNN", activations=("Relu",)),
        cell("RNN", activations=("ThresholdedRelu",), activation_alpha=(0.1,)),
    ],
    "GRU": [
        *cells("GRU"),
        cell("GRU", linear_before_reset=1, clip=0.7),
        cell("GRU", directions=2, linear_before_reset=1, bias=False, direction="bidirectional"),
        cell(
            "GRU",
            activations=("HardSigmoid", "ScaledTanh"),
            activation_alpha=(0.3, 1.2),
            activation_beta=(0.4, 0.8),
        ),
    ],
    "LSTM": [
        *cells("LSTM"),
        cell("LSTM", peepholes=True),
        cell("LSTM", lengths=True, peepholes=True, input_forget=1, states=False, clip=0.6),
        cell("LSTM", activations=("Sigmoid", "Softplus", "Elu"), activation_alpha=(0.9,)),
    ],
}
