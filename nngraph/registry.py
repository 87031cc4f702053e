"""What ONNX does not say of an operator: how to differentiate it and how to write it with simpler ones.

``nngraph.ops`` fills the registry when it is imported. It stands below the runtime, so that a session can expand the
composite operators of domain ``nngraph`` without knowing who wrote them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["COMPOSITE_DOMAIN", "REGISTRY", "OpDef", "lookup", "op_def"]

COMPOSITE_DOMAIN = "nngraph"
"""Domain of operators that are one idea but many ONNX nodes; they never reach a file or the runtime."""


@dataclass(slots=True)
class OpDef:
    """One operator's entry.

    Attributes:
        name: the operator.
        domain: ``""`` for ai.onnx, ``"nngraph"`` for composites.
        vjp: the gradient rule; see ``nngraph.ops.vjp``. ``None`` when nobody wrote one.
        no_gradient: the reason why the operator passes no gradient on, such as ``"piecewise constant"``.
        refusal: why there is no gradient rule although derivatives exist; differentiating raises an error that says so.
        expand: the meaning of a composite, or another form of a standard operator that the runtime cannot compute in
            float64 with that precision: a function of input tensors and attributes.
        expand_node: puts that form into a graph in place of a node (set together with ``expand``).
        random: whether two equal nodes may differ (never merged or folded).
        beyond_runtime: tells from a node's attributes that the runtime computes it in no dtype, although the operator
            has a kernel; then ``expand`` takes its place always.
        safe_form: returns what replaces a node that runtimes with several threads may compute wrongly on a CPU, and
            ``None`` for any other.
    """

    name: str
    domain: str = ""
    vjp: Callable[..., Any] | None = None
    no_gradient: str = ""
    refusal: str = ""
    expand: Callable[..., Any] | None = None
    expand_node: Callable[[Any], None] | None = None
    random: bool = False
    beyond_runtime: Callable[[Any], bool] | None = None
    safe_form: Callable[[Any], Callable[[Any], None] | None] | None = None

    @property
    def op_id(self) -> str:
        """Domain and operator in one string."""
        return f"{self.domain}::{self.name}" if self.domain else self.name


REGISTRY: dict[tuple[str, str], OpDef] = {}
"""(domain, operator) to entry."""


def op_def(name: str, domain: str = "") -> OpDef:
    """Return the entry of an operator, making an empty one if there is none."""
    return REGISTRY.setdefault((domain, name), OpDef(name, domain))


def lookup(name: str, domain: str = "") -> OpDef | None:
    """Return the entry of an operator, or ``None``."""
    return REGISTRY.get((domain, name))


for _name in ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"):
    op_def(_name).random = True
    op_def(_name).no_gradient = "it draws numbers"
