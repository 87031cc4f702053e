"""Metrics as objects: variables, resets, weights, masks, names, configurations, and what is said of wrong input."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from golden import metric_cases as cases
from nngraph import config, losses, metrics, ops, saving
from nngraph.metrics.thresholds import are_even
from nngraph.ops.masking import set_mask
from nngraph.stateless import StatelessScope
from traced import TracedStep

# -- sums and means ----------------------------------------------------------------------------------------------------


def test_mean_of_keras() -> None:
    """The same sequence of updates in Keras 3.15 gives these totals and counts."""
    metric = metrics.Mean()
    steps: list[tuple[Any, Any, float, float]] = [
        ([1, 2, 3], None, 6.0, 3.0),
        ([[1, 2], [3, 4]], [1, 0.5], 9.25, 4.5),
        (5.0, None, 14.25, 5.5),
        (np.ones((2, 3, 2)) * 4, np.array([[1, 2, 3], [4, 5, 6.0]]), 42.25, 12.5),
        (np.arange(6).reshape(2, 3), 2.0, 47.25, 14.5),
        (np.arange(6).reshape(2, 3), [[1.0, 0, 2], [1, 1, 1]], 52.583332, 16.5),
        (3.0, 0.5, 54.083332, 17.0),
    ]
    for values, weight, total, count in steps:
        metric.update_state(values, sample_weight=weight)
        assert float(metric.total) == pytest.approx(total, rel=1e-6)
        assert float(metric.count) == pytest.approx(count, rel=1e-6)
    assert float(metric.result()) == pytest.approx(54.083332 / 17, rel=1e-6)


def test_sum_of_keras() -> None:
    metric = metrics.Sum()
    found = []
    for values, weight in (([1, 2, 3], [1, 0, 1]), ([[1, 2], [3, 4]], None), ([[1, 2], [3, 4]], [1, 0.5])):
        metric.update_state(values, sample_weight=weight)
        found.append(float(metric.result()))
    assert found == [4.0, 14.0, 20.5]


def test_nothing_yet_is_zero() -> None:
    for name in ("Mean", "AUC", "Precision", "F1Score", "R2Score"):
        assert float(getattr(metrics, name)().result()) == 0.0
    assert float(metrics.AUC(multi_label=True).result()) == 0.0


def test_a_mask_of_predictions_is_a_weight() -> None:
    """Keras 3.15 gives 1/3 and a count of 1 for the same arrays."""
    y_pred = np.ones((2, 3, 1), "float32") * np.arange(3, dtype="float32")[None, :, None]
    set_mask(y_pred, np.array([[True, True, False], [True, False, False]]))
    metric = metrics.MeanSquaredError()
    metric.update_state(np.zeros((2, 3, 1)), y_pred)
    assert float(metric.result()) == pytest.approx(1 / 3)
    assert float(metric.count) == 1.0
    root = metrics.RootMeanSquaredError()
    root.update_state(np.zeros((2, 3, 1)), y_pred, sample_weight=np.array([1.0, 3.0]))
    assert float(root.result()) == pytest.approx(np.sqrt(1 / 5), rel=1e-6)


def test_ties_are_in_favour_of_the_label() -> None:
    scores = np.array([[0.5, 0.5, 0.5], [0.2, 0.5, 0.5], [0.1, 0.1, 0.2]], "float32")
    assert metrics.sparse_top_k_categorical_accuracy([1, 1, 0], scores, k=1).tolist() == [1.0, 1.0, 0.0]


def test_classes_that_do_not_exist_count_nowhere() -> None:
    metric = metrics.MeanIoU(3, dtype="float32")
    metric.update_state(np.array([0, 1, 7, 2, -1]), np.array([0, 1, 2, 9, 0]))
    assert metric.total_cm.numpy().tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_more_places_than_classes() -> None:
    assert metrics.top_k_categorical_accuracy(np.eye(3), np.eye(3)[::-1].copy(), k=5).tolist() == [1.0] * 3


@pytest.mark.parametrize("p", [np.nan, np.inf, -np.inf, 7.0, -3.0])
def test_predictions_out_of_range_break_nothing(p: float) -> None:
    metric = metrics.AUC()
    assert np.isfinite(metric(np.array([0, 1, 1]), np.array([0.2, 0.8, p], "float32")))
    assert float(metric.true_positives.numpy()[0]) == 2.0


def test_thresholds_are_met_as_by_comparison() -> None:
    """Counting by intervals and comparing with each threshold agree wherever a prediction is not on a threshold."""
    thresholds = [0.0, 0.25, 0.5, 0.75, 1.0]
    assert are_even(thresholds)
    rng = np.random.default_rng(3)
    y, p = (rng.random(200) > 0.6).astype("float32"), rng.random(200).astype("float32")
    p[:5] = thresholds
    for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"):
        fast = getattr(metrics, name)(thresholds=thresholds)(y, p)
        slow = [float(getattr(metrics, name)(thresholds=t)(y, p)) for t in thresholds]
        assert fast.tolist() == slow


# -- the base class ----------------------------------------------------------------------------------------------------


class Both(metrics.Metric):
    """Two variables that begin elsewhere than at zero, and a metric inside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = self.add_weight(shape=(2,), initializer="ones", name="low")
        self.high = self.add_variable((), initializer=lambda shape, dtype: np.full(shape, 7, dtype), name="high")
        self.inner = metrics.Mean(name="inner")
        self.more = [metrics.Sum()]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.low.assign(ops.minimum(self.low, ops.min(y_pred)))
        self.high.assign_add(1.0)
        self.inner.update_state(y_pred)

    def result(self) -> Any:
        return {"low": self.low[0], "inner": self.inner.result()}


def test_variables_and_reset() -> None:
    config.clear_session()
    metric = Both()
    assert [v.path for v in metric.variables] == ["both/low", "both/high", "inner/total", "inner/count", "sum/total"]
    assert not any(v.trainable for v in metric.variables)
    result = metric(None, np.array([-3.0, 5.0], "float32"))
    assert {k: float(v) for k, v in result.items()} == {"low": -3.0, "inner": 1.0}
    metric.reset_state()
    assert [v.numpy().tolist() for v in metric.variables] == [[1.0, 1.0], 7.0, 0.0, 0.0, 0.0]


def test_stateless_calls_leave_the_metric_alone() -> None:
    metric = metrics.Mean()
    metric.update_state([9.0])
    state = metric.stateless_update_state([np.float32(1), np.float32(1)], [1.0, 2.0])
    assert [float(v) for v in state] == [4.0, 3.0]
    assert float(metric.stateless_result([np.float32(6), np.float32(2)])) == 3.0
    assert [float(v) for v in metric.stateless_reset_state()] == [0.0, 0.0]
    assert float(metric.result()) == 9.0
    with pytest.raises(ValueError, match=r"has 2 variables. Received: 1 values"):
        metric.stateless_result([1.0])


def test_stateless_calls_in_a_graph() -> None:
    metric = metrics.Mean()
    metric.update_state([9.0])

    def step(x: Any) -> Any:
        total, count = metric.stateless_update_state([x * 0.0, x * 0.0 + 1.0], x)
        metric.update_state(x)
        return total + 10.0 * count + 100.0 * metric.stateless_result([x, 2.0 * x]) + 1000.0 * metric.result()

    assert float(TracedStep(step, np.float32(3))(np.float32(3))) == pytest.approx(3 + 20 + 50 + 6000)
    assert float(metric.result()) == 6.0


def test_a_stateless_call_in_a_graph_assigns_nothing() -> None:
    metric = metrics.Mean()
    step = TracedStep(lambda x: metric.stateless_update_state([x, x], x)[0], np.float32(3))
    assert float(step(np.float32(3))) == 6.0
    assert not step.trace.assigned
    assert float(metric.total) == 0.0


def test_a_scope_maps_variables_only() -> None:
    with pytest.raises(ValueError, match="maps variables to values"):
        StatelessScope([("x", 1.0)])


def test_a_subclass_must_call_the_base() -> None:
    class Hasty(metrics.Metric):
        def __init__(self) -> None:
            self.x = self.add_weight(name="x")

    with pytest.raises(RuntimeError, match=r"Hasty.__init__ must call super\(\).__init__\(\)"):
        Hasty()
    with pytest.raises(NotImplementedError, match="must define update_state"):
        metrics.Metric()(1, 2)
    with pytest.raises(NotImplementedError, match="must define result"):
        metrics.Metric().result()


def test_dtype() -> None:
    metric = metrics.MeanSquaredError(dtype="float64")
    assert metric(np.zeros(2), np.full(2, 1e-12)).dtype == np.float64
    assert metrics.IoU(2, [0]).dtype == "int32"
    config.set_floatx("float64")
    try:
        assert metrics.Mean().dtype == "float64"
    finally:
        config.set_floatx("float32")


# -- names and configurations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("mse", metrics.MeanSquaredError),
        ("MSE", metrics.MeanSquaredError),
        ("mean_squared_error", metrics.MeanSquaredError),
        ("auc", metrics.AUC),
        ("accuracy", metrics.Accuracy),
        ("binary_io_u", metrics.BinaryIoU),
        ("f1_score", metrics.F1Score),
        ("log_cosh_error", metrics.LogCoshError),
        ("r2_score", metrics.R2Score),
        ("bce", metrics.BinaryCrossentropy),
    ],
)
def test_a_name_gives_the_class(name: str, cls: type) -> None:
    assert type(metrics.get(name)) is cls


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"Unknown metric 'acuracy'. Did you mean 'accuracy'"):
        metrics.get("acuracy")
    assert metrics.get(None) is None
    own = metrics.Mean()
    assert metrics.get(own) is own
    assert metrics.get(losses.huber) is losses.huber


@pytest.mark.parametrize("case", cases.CASES[::2], ids=[cases.key(*c) for c in cases.CASES[::2]])
def test_configurations_come_back(case: tuple[str, dict, str]) -> None:
    name, arguments, _ = case
    metric = getattr(metrics, name)(**arguments, name="mine")
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    y_true, y_pred, weight = cases.batches(*case)[2]
    np.testing.assert_array_equal(
        again(y_true, y_pred, sample_weight=weight), metric(y_true, y_pred, sample_weight=weight)
    )


def test_a_function_of_the_user_becomes_a_metric() -> None:
    @saving.register_keras_serializable("tests")
    def within(y_true: Any, y_pred: Any, distance: float = 1.0) -> Any:
        return ops.cast(ops.less(ops.abs(y_true - y_pred), distance), "float32")

    metric = metrics.MeanMetricWrapper(within, name="near", distance=0.5)
    for each in (metric, metrics.deserialize(metrics.serialize(metric))):
        assert float(each(np.array([1.0, 2.0]), np.array([1.2, 3.0]))) == 0.5
        assert each.name == "near"


def test_functions_are_described_by_name() -> None:
    for function in (metrics.binary_accuracy, metrics.mean_squared_error, metrics.pearson_correlation):
        wrapper = metrics.MeanMetricWrapper(function)
        assert metrics.deserialize(metrics.serialize(wrapper))._fn is function


def test_default_names() -> None:
    config.clear_session()
    assert [metrics.AUC().name for _ in range(2)] == ["auc", "auc_1"]
    assert metrics.Accuracy().name == metrics.Accuracy().name == "accuracy"
    assert metrics.IoU(2, [0]).name == "io_u"
    assert repr(metrics.LogCoshError()) == "<LogCoshError name=logcosh>"


@pytest.mark.parametrize(
    ("y_true", "y_pred", "kind"),
    [
        ((None, 1), (None, 1), "Binary"),
        ((None,), (None, 1), "Binary"),
        ((8,), (8,), "Binary"),
        ((None,), (None, 10), "SparseCategorical"),
        ((None, 1), (None, 10), "SparseCategorical"),
        ((None, 5), (None, 5, 10), "SparseCategorical"),
        ((None, 10), (None, 10), "Categorical"),
        (None, (None, 10), "Categorical"),
    ],
)
def test_what_accuracy_means(y_true: Any, y_pred: Any, kind: str) -> None:
    for name, noun in (
        ("accuracy", "Accuracy"),
        ("acc", "Accuracy"),
        ("crossentropy", "Crossentropy"),
        ("ce", "Crossentropy"),
    ):
        metric = metrics.resolve_metric(name, y_true, y_pred)
        assert (type(metric).__name__, metric.name) == (kind + noun, name)


def test_the_loss_decides_where_targets_are_unknown() -> None:
    for loss in (losses.SparseCategoricalCrossentropy(), losses.sparse_categorical_crossentropy):
        assert isinstance(metrics.resolve_metric("acc", None, np.ones((2, 3)), loss), metrics.SparseCategoricalAccuracy)
    with pytest.raises(ValueError, match=r"Unknown metric that depends on shapes 'mse'"):
        metrics.resolve_metric("mse", (1,), (1,))


# -- what is said of wrong input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.Precision(thresholds=1.5), r"Thresholds must lie in \[0, 1\]. Received: \[1.5\]"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds must be at least 2"),
        (lambda: metrics.AUC(curve="RoC"), "Unknown curve of AUC 'RoC'. Did you mean 'ROC'"),
        (lambda: metrics.AUC(summation_method="minor"), "Unknown summation_method of AUC 'minor'"),
        (lambda: metrics.AUC(num_labels=2), "num_labels is for multi_label=True only"),
        (lambda: metrics.RecallAtPrecision(1.5), r"precision must lie in \[0, 1\]. Received: precision=1.5"),
        (lambda: metrics.RecallAtPrecision(0.5, num_thresholds=0), "num_thresholds must be at least 1"),
        (lambda: metrics.IoU(2, [0, 2]), r"target_class_ids must be classes, 0 to 1. Received: \[2\]"),
        (lambda: metrics.F1Score(average="micros"), "Unknown average 'micros'. Did you mean 'micro'"),
        (lambda: metrics.F1Score(threshold=3.0), r"threshold must lie in \(0, 1\]"),
        (lambda: metrics.FBetaScore(beta=-1.0), "beta must be positive"),
        (lambda: metrics.R2Score(class_aggregation="x"), "Unknown class_aggregation 'x'"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors must be at least 0"),
        (lambda: metrics.F1Score()([1, 2], [1, 2]), r"F1Score needs .* shape \(samples, classes\).*\(2,\)"),
        (lambda: metrics.R2Score()([1, 2], [1, 2]), r"R2Score needs .* shape \(samples, outputs\)"),
        (lambda: metrics.Precision(class_id=5)(np.eye(3), np.eye(3)), "class_id must be a class .*0 to 2"),
        (lambda: metrics.AUC()(np.arange(3), np.eye(3)), "must have the same shape.*to_categorical"),
        (lambda: metrics.AUC(multi_label=True, num_labels=2)(np.eye(3), np.eye(3)), r"shape \(samples, 2\)"),
        (lambda: metrics.Accuracy()(np.ones(3), np.ones((2, 2))), "'accuracy' needs .* same shape"),
        (lambda: metrics.CategoricalAccuracy()(np.ones(3), np.eye(3)), "'categorical_accuracy' needs .* same shape"),
        (lambda: metrics.SparseCategoricalAccuracy()(np.eye(3), np.eye(3)), "needs one class number"),
        (lambda: metrics.MeanSquaredError()(np.ones((2, 2)), np.ones((2, 3))), r"\(2, 2\), y_pred of shape \(2, 3\)"),
    ],
)
def test_one_clear_error(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
