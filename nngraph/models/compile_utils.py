"""What ``compile`` was told about losses and metrics, matched with a model's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nngraph import losses, metrics, ops
from nngraph.ops.keras_tensor import leaves

__all__ = ["CompiledLoss", "CompiledMetrics"]


def _flat_pairs(y_true: Any, y_pred: Any, names: Sequence[str]) -> list[tuple[Any, Any]]:
    """Return (target, prediction) of each output; dicts of targets go by output names."""
    predictions = list(leaves(y_pred))
    if isinstance(y_true, dict) and not isinstance(y_pred, dict):
        unknown = sorted(set(y_true) - set(names))
        if unknown:
            raise ValueError(f"y has entries for {unknown}, which are no outputs; the outputs are {list(names)}")
        targets = [y_true.get(n) for n in names]
    elif isinstance(y_true, dict):
        targets = [y_true.get(n) for n in y_pred]
    else:
        targets = list(leaves(y_true)) if y_true is not None else [None] * len(predictions)
    if len(targets) != len(predictions):
        raise ValueError(
            f"the model has {len(predictions)} outputs {list(names)}, but y holds {len(targets)} arrays; "
            "give one array for each output, or a dict by output name"
        )
    return list(zip(targets, predictions, strict=True))


def _per_output(spec: Any, names: Sequence[str], what: str) -> list[Any]:
    """Spread a loss or weight specification over the outputs."""
    if isinstance(spec, dict):
        unknown = sorted(set(spec) - set(names))
        if unknown:
            raise ValueError(
                f"compile({what}=...) names {unknown}, which are no outputs; the outputs are {list(names)}"
            )
        return [spec.get(n) for n in names]
    if isinstance(spec, (list, tuple)):
        if len(spec) != len(names):
            raise ValueError(f"compile({what}=...) lists {len(spec)} entries for {len(names)} outputs {list(names)}")
        return list(spec)
    return [spec] * len(names)


class CompiledLoss:
    """The weighted sum of each output's loss.

    Args:
        loss: a name, function or Loss; or a list or dict of them by output.
        loss_weights: a number, or a list or dict of them by output.
    """

    def __init__(self, loss: Any, loss_weights: Any = None) -> None:
        self.spec = loss
        self.weights = loss_weights
        # Names are looked up now, so that a misspelt one fails in compile and not in fit.
        for item in leaves(loss):
            if item is not None:
                _loss_object(item)
        self._objects: list[Any] | None = None

    def objects(self, names: Sequence[str]) -> list[Any]:
        """Return each output's Loss, ``None`` where it has none."""
        if self._objects is None or len(self._objects) != len(names):
            specs = _per_output(self.spec, names, "loss")
            self._objects = [None if s is None else _loss_object(s) for s in specs]
        return self._objects

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any, names: Sequence[str]
    ) -> tuple[Any, dict[str, Any]]:
        """Return the total and, for several outputs, each output's loss by name."""
        objects = self.objects(names)
        factors = _per_output(self.weights, names, "loss_weights")
        pairs = _flat_pairs(y_true, y_pred, names)
        weights = _sample_weights(sample_weight, names, len(pairs))
        total: Any = None
        parts: dict[str, Any] = {}
        for name, (target, prediction), loss, factor, weight in zip(
            names, pairs, objects, factors, weights, strict=True
        ):
            if loss is None or target is None:
                if loss is not None:
                    raise ValueError(f"output {name!r} has a loss, but y holds nothing for it")
                continue
            try:
                value = loss(target, prediction, sample_weight=weight)
            except ValueError as error:
                raise ValueError(f"output {name!r}: {error}") from error
            parts[name] = value
            value = value if factor is None else value * factor
            total = value if total is None else total + value
        return total, parts if len(pairs) > 1 else {}


def _loss_object(spec: Any) -> Any:
    found = losses.get(spec)
    if isinstance(found, losses.Loss):
        return found
    name = spec if isinstance(spec, str) else getattr(found, "__name__", "loss")
    return losses.LossFunctionWrapper(found, name=name)


def _sample_weights(sample_weight: Any, names: Sequence[str], count: int) -> list[Any]:
    if sample_weight is None:
        return [None] * count
    if isinstance(sample_weight, dict):
        unknown = sorted(set(sample_weight) - set(names))
        if unknown:
            raise ValueError(f"sample_weight has entries for {unknown}, which are no outputs; these are {list(names)}")
        return [sample_weight.get(n) for n in names]
    weights = list(leaves(sample_weight))
    if len(weights) == 1:
        return weights * count
    if len(weights) != count:
        raise ValueError(f"sample_weight holds {len(weights)} arrays for {count} outputs {list(names)}")
    return weights


class CompiledMetrics:
    """The metrics of each output.

    Args:
        unweighted: what ``compile(metrics=...)`` was given: names, functions or Metrics, in a list, or lists or dicts
            of such lists by output.
        weighted: the same for ``compile(weighted_metrics=...)``, updated with the sample weights.
        loss: the compiled loss, which decides what ``"accuracy"`` means.
    """

    def __init__(self, unweighted: Any, weighted: Any, loss: CompiledLoss | None) -> None:
        self.unweighted = unweighted
        self.weighted = weighted
        self._loss = loss
        self._entries: list[tuple[str, Any, int, bool]] | None = None
        for item in (*leaves(unweighted), *leaves(weighted)):
            if isinstance(item, str) and item not in ("accuracy", "acc", "crossentropy", "ce"):
                metrics.get(item)

    @property
    def metrics(self) -> list[Any]:
        """The Metric objects, once they are made."""
        return [metric for _, metric, _, _ in self._entries or ()]

    @property
    def labels(self) -> list[str]:
        """The metrics' names in the results."""
        return [label for label, _, _, _ in self._entries or ()]

    def build(self, pairs: Sequence[tuple[Any, Any]], names: Sequence[str]) -> None:
        """Make the Metric objects for these outputs."""
        if self._entries is not None:
            return
        found: list[tuple[str, Any, int, bool]] = []
        for spec, weighted in ((self.unweighted, False), (self.weighted, True)):
            for position, items in enumerate(_metrics_per_output(spec, names)):
                target, prediction = pairs[position]
                for item in items:
                    metric = self._object(item, target, prediction, position, names)
                    label = metric.name if len(names) == 1 else f"{names[position]}_{metric.name}"
                    found.append((_unused(label, [f[0] for f in found], weighted), metric, position, weighted))
        self._entries = found

    def _object(self, item: Any, target: Any, prediction: Any, position: int, names: Sequence[str]) -> Any:
        if isinstance(item, str) and item in ("accuracy", "acc", "crossentropy", "ce"):
            loss = (
                self._loss.objects(names)[position] if self._loss is not None and self._loss.spec is not None else None
            )
            return metrics.resolve_metric(item, target, prediction, loss)
        found = metrics.get(item)
        if not isinstance(found, metrics.Metric):
            found = metrics.MeanMetricWrapper(found, name=getattr(found, "__name__", "metric").strip("<>"))
        if isinstance(item, str):
            found.name = item  # results have the name that was asked for: "mae", not "mean_absolute_error"
        return found

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any, names: Sequence[str]) -> None:
        """Update all metrics with one batch."""
        if self.unweighted is None and self.weighted is None:
            return
        pairs = _flat_pairs(y_true, y_pred, names)
        self.build(pairs, names)
        weights = _sample_weights(sample_weight, names, len(pairs))
        for label, metric, position, weighted in self._entries or ():
            target, prediction = pairs[position]
            if target is None:
                continue
            try:
                metric.update_state(target, prediction, sample_weight=weights[position] if weighted else None)
            except ValueError as error:
                raise ValueError(f"metric {label!r}: {error}") from error

    def results(self) -> dict[str, Any]:
        """Return each metric's result by its label."""
        found: dict[str, Any] = {}
        for label, metric, _, _ in self._entries or ():
            result = metric.result()
            if isinstance(result, dict):
                found.update(result)
            else:
                found[label] = result
        return found


def _unused(label: str, taken: Sequence[str], weighted: bool) -> str:
    """Return a label that no earlier metric has."""
    if label in taken and weighted:
        label = f"weighted_{label}"
    key, n = label, 1
    while key in taken:
        key, n = f"{label}_{n}", n + 1
    return key


def _metrics_per_output(spec: Any, names: Sequence[str]) -> list[list[Any]]:
    """Return a list of metrics for each output from all the forms that compile accepts."""
    if spec is None:
        return [[] for _ in names]

    def as_list(x: Any) -> list[Any]:
        return [] if x is None else list(x) if isinstance(x, (list, tuple)) else [x]

    if isinstance(spec, dict):
        return [as_list(s) for s in _per_output(spec, names, "metrics")]
    if not isinstance(spec, (list, tuple)):
        raise ValueError(
            f"compile(metrics=...) takes a list or a dict by output name, got {spec!r}; write metrics=[{spec!r}]"
        )
    nested = any(isinstance(s, (list, tuple)) for s in spec)
    if nested or (len(names) > 1 and len(spec) == len(names)):
        return [as_list(s) for s in _per_output(spec, names, "metrics")]
    return [list(spec) for _ in names] if len(names) == 1 else [_fresh(spec, k) for k in range(len(names))]


def _fresh(spec: Sequence[Any], position: int) -> list[Any]:
    """Metric objects cannot be shared between outputs; names can."""
    if position > 0 and any(isinstance(s, metrics.Metric) for s in spec):
        raise ValueError("a Metric object belongs to one output: give metrics= as a dict by output name")
    return list(spec)


def batch_size_of(x: Any) -> Any:
    """Return the number of rows of the first array as a number or a graph value."""
    first = next(t for t in leaves(x) if hasattr(t, "shape"))
    return ops.shape(first)[0]
