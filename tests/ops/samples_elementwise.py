"""Samples of operators that work element by element."""

from __future__ import annotations

import numpy as np
from sample import S, Sample, apart, below, between, ints, normal

BOOLS = np.array([[True, False, True], [False, False, True]])
WORDS = np.array([[1, 7, 12], [255, 0, 3]], np.uint8)

# Operator: an interval inside its domain and away from its kinks.
UNARY = {
    "Identity": (-2, 2),
    "Neg": (-2, 2),
    "Abs": (0.1, 2),
    "Exp": (-2, 2),
    "Log": (0.5, 3),
    "Sqrt": (0.5, 3),
    "Reciprocal": (0.5, 2),
    "Sin": (-3, 3),
    "Cos": (-3, 3),
    "Tan": (-1, 1),
    "Asin": (-0.8, 0.8),
    "Acos": (-0.8, 0.8),
    "Atan": (-3, 3),
    "Sinh": (-2, 2),
    "Cosh": (-2, 2),
    "Tanh": (-2, 2),
    "Asinh": (-3, 3),
    "Acosh": (1.3, 3),
    "Atanh": (-0.7, 0.7),
    "Erf": (-2, 2),
    "Sigmoid": (-3, 3),
    "Relu": (0.1, 2),
    "Floor": (-3, 3),
    "Ceil": (-3, 3),
    "Round": (-3, 3),
    "Sign": (-3, 3),
    "IsNaN": (-1, 1),
    "IsInf": (-1, 1),
}
# Operator: intervals of both operands.
BINARY = {
    "Add": ((-2, 2), (-2, 2)),
    "Sub": ((-2, 2), (-2, 2)),
    "Mul": ((-2, 2), (-2, 2)),
    "Div": ((-2, 2), (0.5, 2)),
    "Pow": ((0.5, 2), (-2, 2)),
    "Less": ((-2, 2), (-2, 2)),
    "LessOrEqual": ((-2, 2), (-2, 2)),
    "Greater": ((-2, 2), (-2, 2)),
    "GreaterOrEqual": ((-2, 2), (-2, 2)),
    "Equal": ((-2, 2), (-2, 2)),
}
SHAPES = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1, 3), (4, 1)), ((), (2,)), ((1, 3), (2, 1))]


def unary(low: float, high: float) -> list[Sample]:
    signs = np.where(np.arange(12).reshape(3, 4) % 2, 1, -1) if low == 0.1 else 1
    return [S(between(low, high, 3, 4) * signs), S(between(low, high))]


def binary(a: tuple[float, float], b: tuple[float, float]) -> list[Sample]:
    return [S(between(*a, *left), between(*b, *right)) for left, right in SHAPES]


def many() -> list[Sample]:
    """Three operands that broadcast, no two elements near each other."""
    numbers = apart(2 * 3 + 3 + 2)
    operands = numbers[:6].reshape(2, 3), numbers[6:9], numbers[9:].reshape(2, 1)
    return [S(*operands), S(operands[0]), S(operands[0], operands[1])]


SAMPLES = {
    **{op: unary(*interval) for op, interval in UNARY.items()},
    **{op: binary(*intervals) for op, intervals in BINARY.items()},
    "Max": many(),
    "Min": many(),
    "Sum": many(),
    "Mean": many(),
    "Mod": [
        S(between(2.2, 2.8, 2, 3), between(1.05, 1.1, 3), fmod=1),
        S(np.array([7, -7, 5]), ints(3, 3, -2)),
    ],
    "Clip": [
        S(apart(3, 4), np.float64(-0.7), np.float64(0.8)),
        S(apart(3, 4), np.float64(-0.7)),
        S(apart(3, 4), None, np.float64(0.8)),
    ],
    "Where": [
        S(BOOLS, normal(2, 3), normal(3)),
        S(np.array(True), normal(2, 1), normal(1, 3)),
    ],
    "Cast": [S(normal(2, 3), to="float64"), S(between(-3, 3, 4), to="int32"), S(below(5, 3), to="float64")],
    "Not": [S(BOOLS)],
    "And": [S(BOOLS, BOOLS[0])],
    "Or": [S(BOOLS, BOOLS[0])],
    "Xor": [S(BOOLS, BOOLS[0])],
    "BitShift": [S(WORDS, np.uint8([1, 2, 3]), direction=d) for d in ("LEFT", "RIGHT")],
    "BitwiseAnd": [S(WORDS, WORDS[0])],
    "BitwiseOr": [S(WORDS, WORDS[0])],
    "BitwiseXor": [S(WORDS, WORDS[0])],
    "BitwiseNot": [S(WORDS)],
    "BitCast": [S(WORDS, to="int8"), S(np.array([1, -2, 3], np.int32), to="float32")],
    "nngraph::StopGradient": [S(normal(2, 3)).but(wrt=(), why="it has no gradient on purpose")],
}
