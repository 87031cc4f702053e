"""Low-rank adaptation: train two thin matrices beside a frozen weight."""

from __future__ import annotations

from typing import Any

from nngraph import ops
from nngraph.layers.arguments import integer, layer_name
from nngraph.layers.layer import Layer

__all__ = ["LowRank"]


class LowRank:
    """What layers with a ``lora_rank`` argument share: the weight used is ``W + alpha / rank * A B`` with W frozen.

    Hu et al., "LoRA: Low-rank adaptation of large language models", 2021.

    The class beside it in the bases is a layer whose weight of this kind is the variable ``_adapted_variable()``; its
    ``build`` ends with ``_enable_asked_lora()``.
    """

    _lora_name = "kernel"

    def _ask_lora(self, rank: int | None, alpha: float | None) -> None:
        """Keep the constructor's arguments."""
        self.lora_rank = None if rank is None else integer(self, "lora_rank", rank)
        self.lora_alpha = alpha if alpha is not None else self.lora_rank
        self.lora_enabled = False

    def _adapted_variable(self) -> Any:
        raise NotImplementedError

    def _enable_asked_lora(self) -> None:
        if self.lora_rank is not None:
            self._add_lora(self.lora_rank, self.lora_alpha, "he_uniform", "zeros")

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the layer's large weight and train two matrices of this rank beside it.

        Args:
            rank: their inner size.
            lora_alpha: scale of their product, divided by ``rank``; default ``rank``.
            a_initializer, b_initializer: initializers; with zeros for one of them the layer does not change at first.

        Raises:
            ValueError: the layer is not built, has a constraint on the weight, or is adapted already.
        """
        layer: Any = self
        if not layer.built:
            raise ValueError(f"layer {layer.name!r} is not built; call it on data before enable_lora")
        if self.lora_enabled:
            raise ValueError(f"layer {layer.name!r} has its low-rank weights already; enable_lora can be called once")
        alpha = rank if lora_alpha is None else lora_alpha
        self._add_lora(integer(self, "rank", rank), alpha, a_initializer, b_initializer)

    def _add_lora(self, rank: int, alpha: Any, a_initializer: Any, b_initializer: Any) -> None:
        layer: Any = self
        constraint = "embeddings_constraint" if self._lora_name == "embeddings" else "kernel_constraint"
        if getattr(layer, constraint) is not None:
            raise ValueError(f"{layer_name(layer)}: low-rank adaptation does not go with {constraint}")
        frozen = self._adapted_variable()
        first = layer.add_weight((*frozen.shape[:-1], rank), a_initializer, name=f"lora_{self._lora_name}_a")
        second = layer.add_weight((rank, frozen.shape[-1]), b_initializer, name=f"lora_{self._lora_name}_b")
        setattr(self, f"lora_{self._lora_name}_a", first)
        setattr(self, f"lora_{self._lora_name}_b", second)
        frozen.trainable = False
        Layer.structure_version += 1
        self.lora_rank, self.lora_alpha, self.lora_enabled = rank, alpha, True

    def _lora_product(self, left: Any) -> Any:
        """Return the scaled product of ``left`` (A, or rows of it) with B."""
        assert self.lora_rank is not None and self.lora_alpha is not None
        return ops.matmul(left, getattr(self, f"lora_{self._lora_name}_b")) * (self.lora_alpha / self.lora_rank)

    def _adapted(self) -> Any:
        """Return the weight to compute with: the variable itself while there is nothing to add."""
        variable = self._adapted_variable()
        if not self.lora_enabled:
            return variable
        return ops.add(variable, self._lora_product(getattr(self, f"lora_{self._lora_name}_a")))

    def _lora_config(self) -> dict[str, Any]:
        return {} if self.lora_rank is None else {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}
