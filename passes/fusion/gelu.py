"""GELU: ``x Φ(x)``, Φ the normal distribution function (Hendrycks and Gimpel, "Gaussian error linear units", 2016)."""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np

from nngraph.ir import Value
from nngraph.ops import raw
from passes.build import Builder
from passes.pattern import Match
from passes.rewrite import PatternRule, Rule, example

__all__ = ["RULES"]

_F = np.float32
_X = "float32[2, 3]"


def _product(op: Any, x: Any, s: Any) -> Any:
    """``x · ½ · s`` in any order."""
    return op.either(op.Mul(op.Mul(x, 0.5), s), op.Mul(op.Mul(x, s), 0.5), op.Mul(x, op.Mul(s, 0.5)))


class ErfToGelu(PatternRule):
    """``½ x (1 + erf(x / √2)) = Gelu(x)``."""

    examples = (
        example(lambda x: raw.Mul(raw.Mul(x, _F(0.5)), raw.Add(raw.Erf(raw.Div(x, _F(sqrt(2)))), _F(1))), _X),
        example(lambda x: raw.Mul(raw.Mul(x, raw.Add(_F(1), raw.Erf(raw.Mul(x, _F(sqrt(0.5)))))), _F(0.5)), _X),
        example(lambda x: raw.Mul(raw.Mul(raw.Add(raw.Erf(raw.Div(x, _F(sqrt(2)))), _F(1)), _F(0.5)), x), _X),
        example(
            lambda x: (lambda e: (raw.Mul(raw.Mul(x, _F(0.5)), raw.Add(e, _F(1))), e))(
                raw.Erf(raw.Div(x, _F(sqrt(2))))
            ),
            _X,
            refuses="an inner value is used elsewhere",
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any) -> Any:
        return _product(op, x, op.Add(op.Erf(op.either(op.Div(x, sqrt(2)), op.Mul(x, sqrt(0.5)))), 1.0))

    def rewrite(self, op: Builder, match: Match) -> Value:
        value: Value = op.Gelu(match.x)
        return value


def _cube_sum(x: Any) -> Any:
    return raw.Add(x, raw.Mul(_F(0.044715), raw.Mul(raw.Mul(x, x), x)))


class TanhToGelu(PatternRule):
    """``½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) = Gelu(x, approximate="tanh")``."""

    examples = (
        example(
            lambda x: raw.Mul(raw.Mul(x, _F(0.5)), raw.Add(raw.Tanh(raw.Mul(_cube_sum(x), _F(sqrt(2 / pi)))), _F(1))),
            _X,
        ),
        example(
            lambda x: raw.Mul(
                x,
                raw.Mul(
                    _F(0.5),
                    raw.Add(
                        _F(1),
                        raw.Tanh(raw.Mul(_F(sqrt(2 / pi)), raw.Add(x, raw.Mul(raw.Pow(x, _F(3)), _F(0.044715))))),
                    ),
                ),
            ),
            _X,
        ),
    )

    @staticmethod
    def pattern(op: Any, x: Any) -> Any:
        cube = op.either(op.Pow(x, 3.0), op.Mul(op.Mul(x, x), x))
        inner = op.Mul(op.Add(x, op.Mul(cube, 0.044715)), sqrt(2 / pi))
        return _product(op, x, op.Add(op.Tanh(inner), 1.0))

    def rewrite(self, op: Builder, match: Match) -> Value:
        value: Value = op.Gelu(match.x, approximate="tanh")
        return value


RULES: tuple[Rule, ...] = (ErfToGelu(), TanhToGelu())
