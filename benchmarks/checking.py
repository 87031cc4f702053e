"""Do all peers compute the same? Logits and the losses of some training steps from equal weights, without dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["CHECK_BATCH", "CHECK_STEPS", "differences"]

CHECK_BATCH, CHECK_STEPS = 4, 3
# Of the later losses, not of the first: how Adam's epsilon enters differs, and tiny gradients flip signs.
_LOGITS, _FIRST_LOSS, _LATER_LOSSES = 2e-3, 1e-3, 3e-2


def differences(answers: Mapping[str, Mapping[str, Any]], reference: str) -> list[str]:
    """Return one line for each peer that does not agree with the reference.

    Logits are compared as sorted samples, because the layouts of images differ, as shares of the largest.
    PyTorch's LSTM has a second bias, so parameters may exceed the reference's by the size of a bias.
    """
    lines = []
    wanted = answers[reference]
    for name, found in answers.items():
        if name == reference:
            continue
        largest = max(abs(v) for v in wanted["logits"]) or 1.0
        off = _largest(*(sorted(v / largest for v in a["logits"]) for a in (found, wanted)))
        if off > _LOGITS:
            lines.append(f"{name}: logits differ by {off:.2g}")
        if "losses" not in found or "losses" not in wanted:
            continue
        first = _largest(found["losses"][:1], wanted["losses"][:1])
        later = _largest(found["losses"][1:], wanted["losses"][1:])
        if first > _FIRST_LOSS or later > _LATER_LOSSES:
            lines.append(f"{name}: losses {_text(found['losses'])}, {reference}: {_text(wanted['losses'])}")
        if abs(found["parameters"] - wanted["parameters"]) > 512:
            lines.append(f"{name}: {found['parameters']} parameters, {reference}: {wanted['parameters']}")
    return lines


def _largest(found: Sequence[float], wanted: Sequence[float]) -> float:
    if len(found) != len(wanted):
        return float("inf")
    return max((abs(a - b) / max(1.0, abs(b)) for a, b in zip(found, wanted, strict=True)), default=0.0)


def _text(losses: Sequence[float]) -> str:
    return " ".join(f"{loss:.5f}" for loss in losses)
