"""Batches of matrix products on the CPU provider: ``FusedMatMul`` takes transposed operands and a factor.

Where a transpose leaves the axis in place whose numbers lie side by side, the runtime copies whole rows; else it picks
one number after the other, on one thread, which takes three times as long. A product can do the rest of the turning
while it packs its operands anyway.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from nngraph.ir import Node, TensorType, Value
from nngraph.ops import raw
from passes.build import Builder, splat
from passes.rewrite import CONSTANT, LocalRule, Refusal, Result, Rule, example
from passes.simplify.transposes import permutation

__all__ = ["RULES"]

_DOMAIN = "com.microsoft"
_PRODUCTS = ("MatMul", f"{_DOMAIN}::FusedMatMul")
_Q, _K = "float32[2, 5, 3, 4]", "float32[2, 6, 3, 4]"  # (batch, length, heads, size)


def _swapped(perm: tuple[int, ...]) -> tuple[int, ...]:
    return (*perm[:-2], perm[-1], perm[-2])


@dataclass
class _Product:
    """A product ``alpha · a' b'`` of batches of matrices, a' and b' perhaps transposed."""

    factors: list[Value]
    turned: list[bool]
    alpha: float

    @staticmethod
    def of(node: Node) -> _Product | None:
        """Read a node; ``None`` where it is no product of two batches of single precision."""
        attributes = node.attributes
        if len(node.inputs) != 2 or attributes.get("transBatchA", 0) or attributes.get("transBatchB", 0):
            return None
        factors = [v for v in node.inputs if v is not None and v.ndim > 2 and v.dtype == "float32"]
        if len(factors) != 2 or factors[0].ndim != factors[1].ndim:
            return None
        turned = [bool(attributes.get(key, 0)) for key in ("transA", "transB")]
        return _Product(factors, turned, float(attributes.get("alpha", 1.0)))

    def build(self, op: Builder, type: TensorType) -> Value:
        """Make the node."""
        if self.alpha == 1 and not any(self.turned):
            return op.MatMul(*self.factors)
        a, b = map(int, self.turned)
        value: Value = op.node(
            "FusedMatMul", self.factors, transA=a, transB=b, alpha=self.alpha, _domain=_DOMAIN, _types=[type]
        )
        return value


def _only_products(value: Value) -> bool:
    return not value.is_output and all(user.op_id in _PRODUCTS for user in value.users)


class _FactorRule(LocalRule):
    """A rule that takes what made a factor into the product."""

    roots = _PRODUCTS

    def apply(self, node: Node, op: Builder) -> Result:
        """Take up what can be of both factors."""
        product = _Product.of(node)
        if product is None:
            return None
        refusal: Refusal | None = None
        found = False
        for slot in range(len(product.factors)):
            factor = self.take(product, slot, op)
            if isinstance(factor, Refusal):
                refusal = factor
            elif factor is not None:
                product.factors[slot] = factor
                found = True
        return product.build(op, node.output.type) if found else refusal

    @abstractmethod
    def take(self, product: _Product, slot: int, op: Builder) -> Value | Refusal | None:
        """Return what takes a factor's place, the rest being noted in the product."""


class TurnInProduct(_FactorRule):
    """``MatMul(a, Transpose(x, p)) = FusedMatMul(a, Transpose(x, p'), transB=1)``, likewise for a.

    Here p' is p with its last two entries swapped. It pays where p, but not p', moves the last axis of x, and where
    only products need the transpose.
    """

    operands = ("Transpose",)
    examples = (
        example(
            lambda q, k: raw.MatMul(raw.Transpose(q, perm=(0, 2, 1, 3)), raw.Transpose(k, perm=(0, 2, 3, 1))), _Q, _K
        ),
        example(lambda q, d: raw.MatMul(raw.Transpose(q, perm=(0, 2, 3, 1)), d), _Q, "float32[2, 3, 5, 6]"),
        example(lambda a, b: raw.MatMul(a, raw.Transpose(b, perm=(0, 2, 1))), "float32[2, 3, 4]", "float32[2, 5, 4]"),
        example(
            lambda q, k: (lambda t: (raw.MatMul(q, t), raw.Exp(t)))(raw.Transpose(k, perm=(0, 2, 3, 1))),
            "float32[2, 3, 5, 4]",
            _K,
            refuses="the transpose is needed otherwise",
        ),
    )

    def take(self, product: _Product, slot: int, op: Builder) -> Value | Refusal | None:
        """Leave the last two axes as they are."""
        factor = product.factors[slot]
        made = factor.producer
        if made is None or made.op_id != "Transpose" or permutation(made)[-2] != factor.ndim - 1:
            return None
        if not _only_products(factor):
            return Refusal("the transpose is needed otherwise", factor)
        perm, x = _swapped(permutation(made)), made.inputs[0]
        assert x is not None
        product.turned[slot] = not product.turned[slot]
        turned: Value = x if perm == tuple(range(x.ndim)) else op.Transpose(x, perm=perm)
        return turned


class FactorIntoProduct(_FactorRule):
    """``MatMul(Transpose(x · c), b) = FusedMatMul(Transpose(x), b, alpha=c)`` for a number c, likewise on the right."""

    operands = ("Mul", "Transpose")
    examples = (
        example(
            lambda q, k: raw.MatMul(raw.Transpose(raw.Mul(q, 0.5), perm=(0, 2, 1, 3)), k), _Q, "float32[2, 3, 4, 6]"
        ),
        example(lambda a, b: raw.MatMul(raw.Mul(a, 0.5), raw.Mul(b, 3.0)), "float32[2, 3, 4]", "float32[2, 4, 5]"),
        example(
            lambda a, b: (lambda s: (raw.MatMul(s, b), raw.Exp(s)))(raw.Mul(a, 0.5)),
            "float32[2, 3, 4]",
            "float32[2, 4, 5]",
            refuses="the product with the number is needed otherwise",
        ),
    )

    def take(self, product: _Product, slot: int, op: Builder) -> Value | Refusal | None:
        """Multiply by the number at the end."""
        factor = product.factors[slot]
        made = factor.producer
        turn = made if made is not None and made.op_id == "Transpose" else None
        scaled = factor if turn is None else turn.inputs[0]
        assert scaled is not None
        number, x = _number_and_rest(scaled)
        if x is None:
            return None
        if not _only_products(factor) or (turn is not None and any(u.op_id != "Transpose" for u in scaled.users)):
            return Refusal("the product with the number is needed otherwise", scaled)
        product.alpha *= number
        turned: Value = x if turn is None else op.Transpose(x, perm=permutation(turn))
        return turned


class FactorOfProduct(LocalRule):
    """``Transpose(MatMul(a, b)) · c = Transpose(FusedMatMul(a, b, alpha=c))`` for a number c, transposed or not."""

    roots = ("Mul",)
    operands = (CONSTANT,)
    examples = (
        example(
            lambda a, b: raw.Mul(raw.Transpose(raw.MatMul(a, b), perm=(0, 2, 1)), 0.5),
            "float32[2, 3, 4]",
            "float32[2, 4, 5]",
        ),
        example(lambda a, b: raw.Mul(2.0, raw.MatMul(a, b)), "float32[2, 3, 4]", "float32[2, 4, 5]"),
        example(
            lambda a, b: (lambda y: (raw.Mul(y, 0.5), raw.Exp(y)))(raw.MatMul(a, b)),
            "float32[2, 3, 4]",
            "float32[2, 4, 5]",
            refuses="the product is needed otherwise",
        ),
    )

    def apply(self, node: Node, op: Builder) -> Result:
        number, value = _number_and_rest(node.output)
        made = value.producer if value is not None else None
        turn = made if made is not None and made.op_id == "Transpose" else None
        inner = value if turn is None else turn.inputs[0]
        if inner is None or inner.producer is None or inner.producer.op_id not in _PRODUCTS:
            return None
        product = _Product.of(inner.producer)
        if product is None:
            return None
        if any(len(v.uses) > 1 or v.is_output for v in (value, inner) if v is not None):
            return Refusal("the product is needed otherwise", inner)
        product.alpha *= number
        scaled = product.build(op, inner.type)
        return scaled if turn is None else op.Transpose(scaled, perm=permutation(turn))


def _number_and_rest(value: Value) -> tuple[float, Value | None]:
    """Return c and x of a value ``x · c`` with a constant scalar c; without one, 1 and ``None``."""
    made = value.producer
    if made is None or made.op_id != "Mul":
        return 1.0, None
    for slot in (1, 0):
        number, x = splat(made.inputs[slot]), made.inputs[1 - slot]
        if number is not None and x is not None and x.shape == value.shape:
            return number, x
    return 1.0, None


RULES: tuple[Rule, ...] = (TurnInProduct(), FactorIntoProduct(), FactorOfProduct())
"""The rules of this module."""
