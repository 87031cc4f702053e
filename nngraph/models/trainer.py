"""Compile, fit, evaluate, predict: the training loop around compiled steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nngraph import callbacks as callback_module
from nngraph import config, metrics, ops, optimizers, tree
from nngraph.data import (
    ArrayAdapter,
    class_weight_to_sample_weights,
    make_adapter,
    prefetched,
    train_validation_split,
)
from nngraph.data.arrays import to_arrays
from nngraph.data.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from nngraph.ir import Value
from nngraph.layers.layer import Layer
from nngraph.models.checks import check_inputs, check_labels
from nngraph.models.compile_utils import CompiledLoss, CompiledMetrics, batch_size_of
from nngraph.models.loop import loaded, run_steps, steps_on_arrays, steps_on_batches
from nngraph.models.prediction import PredictFunction
from nngraph.models.steps import CompiledStep, RowsStep, describe, signature
from nngraph.ops.keras_tensor import leaves
from nngraph.runtime import Tables
from nngraph.transforms import gradients
from passes.recompute import recompute_passes

__all__ = ["Trainer"]


class Trainer:
    """The part of a model that trains; :class:`nngraph.models.Model` inherits it."""

    name: str

    def __init__(self) -> None:
        self.optimizer: Any = None
        self.compiled = False
        self.stop_training = False
        self.history: Any = None
        self.steps_per_execution = 1
        self.recompute: Any = None
        self._compile_loss: CompiledLoss | None = None
        self._compile_metrics: CompiledMetrics | None = None
        self._loss_tracker: Any = None
        self._output_trackers: dict[str, Any] = {}
        self._compile_arguments: dict[str, Any] = {}
        self._steps: dict[Any, CompiledStep] = {}
        self._predictors: dict[Any, PredictFunction] = {}
        self._tables: dict[str, Tables] = {}
        self._shuffle_seed: int | None = None
        self._epochs_seen = 0
        self._initial_epoch: int | None = None
        self._initial_batch: int | None = None
        self._memory: dict[str, Any] = {}

    # -- compile ---------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        recompute: bool | int | float | None = None,
    ) -> None:
        """Say how the model is trained.

        Args:
            optimizer: an optimizer or its name.
            loss: a loss, its name or a function ``(y_true, y_pred) -> loss``; for several outputs a list or dict.
            loss_weights: factors of the outputs' losses, as a list or dict.
            metrics: a list of metrics, names or functions; for several outputs a list of lists or a dict.
            weighted_metrics: metrics that take the sample weights into account.
            run_eagerly: accepted for Keras programs; a step is always one graph.
            steps_per_execution: how many steps run between two calls of the callbacks.
            jit_compile: accepted for Keras programs; a step is always compiled.
            auto_scale_loss: accepted for Keras programs.
            recompute: compute forward values again for the backward pass instead of keeping them; results stay the
                same, steps take longer. ``True`` is as little memory as possible, a whole number the bytes that the
                step's intermediate tensors should take, a number between 0 and 1 a share of what they take without.
                It holds for exported training steps as well.

        Raises:
            ValueError: a name is unknown (the nearest one is suggested) or a specification does not fit.

        Example:
            >>> import nngraph as keras
            >>> dense = [keras.layers.Dense(32, activation="relu") for _ in range(8)]
            >>> model = keras.Sequential([keras.Input((32,)), *dense, keras.layers.Dense(1)])
            >>> model.compile("adam", "mse", recompute=0.6)
        """
        if run_eagerly:
            warnings.warn("run_eagerly=True has no effect: a step is always one graph", stacklevel=2)
        if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(f"steps_per_execution must be a whole number of at least 1, got {steps_per_execution!r}")
        recompute_passes(recompute)  # says what does not fit
        self._require_initialized()  # type: ignore[attr-defined]
        self._compile_arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "steps_per_execution": steps_per_execution,
            "recompute": recompute,
        }
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self.steps_per_execution = steps_per_execution
        self.recompute = recompute
        self._compile_loss = CompiledLoss(loss, loss_weights) if loss is not None else None
        self._compile_metrics = CompiledMetrics(metrics, weighted_metrics, self._compile_loss)
        self._loss_tracker = _mean("loss")
        self._output_trackers = {}
        self.stop_training = False
        self.compiled = True
        self._forget_compiled()

    def _forget_compiled(self) -> None:
        """Trace anew at the next step; the model or its training has changed."""
        self._steps = {}
        self._predictors = {}
        self._tables = {}

    @property
    def metrics(self) -> list[Any]:
        """The loss tracker, the compiled metrics and the metrics of the layers."""
        own = [] if self._loss_tracker is None else [self._loss_tracker, *self._output_trackers.values()]
        compiled = self._compile_metrics.metrics if self._compile_metrics is not None else []
        inner = [m for m in super().metrics if m is not self._loss_tracker]  # type: ignore[misc]
        return list(dict.fromkeys([*own, *compiled, *inner]))

    @property
    def metrics_names(self) -> list[str]:
        """Names of the results, in the order in which ``evaluate`` returns them."""
        own = [] if self._loss_tracker is None else ["loss", *self._output_trackers]
        compiled = self._compile_metrics.labels if self._compile_metrics is not None else []
        known = {self._loss_tracker, *self._output_trackers.values()}
        known |= set(self._compile_metrics.metrics) if self._compile_metrics is not None else set()
        return [*own, *compiled, *(m.name for m in self.metrics if m not in known)]

    @property
    def metrics_variables(self) -> list[Any]:
        """State of the metrics."""
        return [v for m in self.metrics for v in m.variables]

    def reset_metrics(self) -> None:
        """Set all metrics back to their beginning."""
        for metric in self._remembered("metrics", lambda: self.metrics):
            metric.reset_state()

    def _remembered(self, what: str, find: Callable[[], Any]) -> Any:
        """Return what ``find`` gives, found anew only when layers, weights or steps have changed."""
        stamp = (Layer.structure_version, len(self._steps), id(self._compile_metrics))
        if self._memory.get("stamp") != stamp:
            self._memory = {"stamp": stamp}
        if what not in self._memory:
            self._memory[what] = find()
        return self._memory[what]

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the metrics' results by name."""
        results: dict[str, Any] = {}
        if self._loss_tracker is not None:
            results["loss"] = self._loss_tracker.result()
            results.update({name: m.result() for name, m in self._output_trackers.items()})
        known = {self._loss_tracker, *self._output_trackers.values()}
        if self._compile_metrics is not None:
            results.update(self._compile_metrics.results())
            known |= set(self._compile_metrics.metrics)
        for metric in self.metrics:
            if metric not in known:
                result = metric.result()
                results.update(result if isinstance(result, dict) else {metric.name: result})
        return results

    # -- one step --------------------------------------------------------------------------------------------------

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the scalar to minimise: the compiled losses, what layers added, and regularization."""
        total: Any = None
        if self._compile_loss is not None:
            total, parts = self._compile_loss(y, y_pred, sample_weight, self._names_of(y_pred))
            for name, value in parts.items():
                tracker = self._output_trackers.setdefault(f"{name}_loss", _mean(f"{name}_loss"))
                tracker.update_state(value, sample_weight=batch_size_of(y_pred))
        for extra in self.losses:  # type: ignore[attr-defined]
            extra = ops.sum(ops.cast(extra, "float32") if ops.dtype_of(extra) != "float64" else extra)
            total = extra if total is None else total + extra
        if total is None:
            raise ValueError(
                f"model {self.name!r} has nothing to minimise: give compile(loss=...), or add_loss in a layer"
                + ("" if y is not None or self._compile_loss is None else "; no targets y were given")
            )
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Update the compiled metrics and return all results."""
        if self._compile_metrics is not None and y is not None:
            self._compile_metrics.update(y, y_pred, sample_weight, self._names_of(y_pred))
        return self.get_metrics_result()

    def _names_of(self, y_pred: Any) -> list[str]:
        count = len(list(leaves(y_pred)))
        if isinstance(y_pred, dict):
            return list(y_pred)
        names = self._output_names()  # type: ignore[attr-defined]
        return names if len(names) == count else [f"output_{k}" for k in range(count)]

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step: forward, loss, gradients, update, metrics. It is traced; overrides are written with ``ops``."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=True)  # type: ignore[operator]
        loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
        self._loss_tracker.update_state(loss, sample_weight=batch_size_of(x))
        variables = self.trainable_variables  # type: ignore[attr-defined]
        if not isinstance(loss, Value):
            raise ValueError(
                f"the loss of model {self.name!r} is the constant {loss!r}, it depends on no weight; compute it from "
                "y_pred with nngraph.ops"
            )
        if not variables:
            warnings.warn(f"model {self.name!r} has no trainable weights; fit changes nothing", stacklevel=2)
        else:
            grads = gradients(self.optimizer.scale_loss(loss), variables)
            self.optimizer.apply(grads, variables)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One evaluation step: forward, loss, metrics."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)  # type: ignore[operator]
        own_loss = type(self).compute_loss is not Trainer.compute_loss
        if own_loss or self._compile_loss is not None or self.losses:  # type: ignore[attr-defined]
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
            self._loss_tracker.update_state(loss, sample_weight=batch_size_of(x))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data: Any) -> Any:
        """One prediction step."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)  # type: ignore[operator]

    # -- compiled steps --------------------------------------------------------------------------------------------

    def _float_dtype(self) -> str:
        policy: str = self.compute_dtype  # type: ignore[attr-defined]
        inputs = getattr(self, "_connections", None) or getattr(
            getattr(self, "_functional", None), "_connections", None
        )
        kinds = [t.dtype for t in inputs.inputs if t.dtype.startswith("float")] if inputs is not None else []
        return kinds[0] if kinds else policy

    def _require_compiled(self, what: str) -> None:
        if not self.compiled:
            raise RuntimeError(
                f"model {self.name!r} must be compiled before {what}: model.compile(optimizer=..., loss=...)"
            )

    def _step(self, mode: str, data: Any, *, rows: int | None = None) -> CompiledStep:
        """Return the compiled step for batches like ``data``.

        Args:
            mode: ``"train"`` or ``"test"``.
            data: a batch.
            rows: how many rows the step picks out of arrays like these.
        """
        shape = (mode, signature(data), rows, config.device())
        step = self._steps.get((*shape, self._trainable_key(mode)))
        if step is None:
            self._prepare(data)
            structure, types = describe(data)
            fn = self.train_step if mode == "train" else self.test_step

            def packed(batch: Any) -> dict[str, Any]:
                # Overrides unpack as many parts as there are: ``x, y = data``.
                return fn(pack_x_y_sample_weight(*batch))

            recompute = self.recompute if mode == "train" else None
            name, device = f"{self.name}_{mode}_step", config.device()
            if rows is None:
                step = CompiledStep(packed, structure, types, name, device, recompute)
            else:
                whole = [t.with_shape(("samples", *t.shape[1:])) for t in types]
                step = RowsStep(packed, structure, whole, name, rows, device, recompute)
            self._steps[(*shape, self._trainable_key(mode))] = step  # which weights there are is known only now
        return step

    def _trainable_key(self, mode: str) -> Any:
        if mode != "train":
            return ()
        return self._remembered("trainable", lambda: tuple(id(v) for v in self.trainable_variables))  # type: ignore[attr-defined]

    def _prepare(self, data: Any) -> None:
        """Make all weights and optimizer slots before the step is traced."""
        x, y, _ = unpack_x_y_sample_weight(data)
        self._check_data(x, y)
        check_inputs(self, x)
        if not self._is_built() and self._defines_call():
            self._build_on(x)
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]

    def _check_data(self, x: Any, y: Any) -> None:
        for name, part in (("x", x), ("y", y)):
            for array in leaves(part):
                if array is not None and getattr(array, "ndim", 1) == 0:
                    raise ValueError(
                        f"{name} must hold arrays with the samples along the first axis, got a single number"
                    )

    def _check_labels(self, adapter: Any) -> None:
        """Class numbers are checked where all of them can be seen at once."""
        outputs = getattr(getattr(self, "_functional", None) or self, "_outputs_struct", None)
        if outputs is None or self._compile_loss is None or not isinstance(adapter, ArrayAdapter) or adapter.y is None:
            return
        names = self._names_of(outputs)
        sizes = [t.shape[-1] if t.shape else None for t in leaves(outputs)]
        check_labels(self._compile_loss.objects(names), names, adapter.y, sizes)

    def _defines_call(self) -> bool:
        """Whether the model computes something by itself; one with a ``train_step`` of its own may do without."""
        from nngraph.models.model import Model

        return type(self).call is not Model.call  # type: ignore[attr-defined]

    def _is_built(self) -> bool:
        return all(layer.built for layer in self._flatten_layers())  # type: ignore[attr-defined]

    def _build_on(self, x: Any) -> None:
        """Call the model once on symbols shaped like the data, so that every layer makes its weights."""
        from nngraph.models.model import _loose
        from nngraph.ops.keras_tensor import map_leaves, record_call

        symbols = map_leaves(_loose, x)
        if self._seen_inputs is None:  # type: ignore[has-type]
            self._seen_inputs = symbols
        record_call(self, self._run, (symbols,), {})  # type: ignore[attr-defined]

    # -- fit -------------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
    ) -> Any:
        """Train for some epochs and return the :class:`History`.

        Args:
            x: arrays (one, or a list or dict of them), a pandas frame, a generator, a PyDataset, or anything that
                iterates over batches ``(x, y)`` or ``(x, y, sample_weight)``.
            y: targets, when ``x`` holds arrays.
            batch_size: rows a step; default 32.
            epochs: the number of the last epoch.
            verbose: 0 silent, 1 progress bar, 2 one line an epoch, ``"auto"``.
            callbacks: a list of callbacks.
            validation_split: the share of rows, from the end, kept for validation.
            validation_data: ``(x, y)``, ``(x, y, sample_weight)`` or a source of batches.
            shuffle: a new order of rows each epoch.
            class_weight: factor of the loss by class number.
            sample_weight: factor of the loss by row.
            initial_epoch: number of epochs done already.
            steps_per_epoch: how many batches make an epoch.
            validation_steps, validation_batch_size, validation_freq: the same for validation; how often to validate.

        Raises:
            RuntimeError: the model is not compiled.
            ValueError: the data do not fit each other, the model, or the loss; the array is named.
        """
        self._require_compiled("fit")
        if validation_split:
            if validation_data is not None:
                raise ValueError("fit takes either validation_split= or validation_data=, not both")
            (x, y, sample_weight), validation_data = train_validation_split((x, y, sample_weight), validation_split)
        dtype = self._float_dtype()
        limit = config.max_steps_per_epoch()
        adapter = make_adapter(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            steps_per_epoch=limit if steps_per_epoch is None else steps_per_epoch,
            shuffle=shuffle,
            class_weight=class_weight,
            float_dtype=dtype,
        )
        if self._shuffle_seed is None:
            self._shuffle_seed = config.draw_seed()
        epochs = epochs if config.max_epochs() is None else min(epochs, config.max_epochs() or epochs)
        self._prepare(adapter.peek())
        self._check_labels(adapter)
        calls = _callback_list(callbacks, self, verbose, epochs, adapter.num_batches)
        self.stop_training = False
        self._initial_epoch = self._initial_batch = None
        calls.on_train_begin()
        initial_epoch = self._initial_epoch if self._initial_epoch is not None else initial_epoch
        logs: dict[str, Any] = {}
        with loaded(self._tables, "train", adapter) as tables:
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                calls.on_epoch_begin(epoch)
                logs = self._run_epoch("train", adapter, tables, self._epoch_rng(), calls, self._take_initial_batch())
                self._epochs_seen += 1
                if validation_data is not None and _due(epoch, validation_freq):
                    size = validation_batch_size or batch_size
                    found = self._validate(validation_data, size, validation_steps, calls)
                    logs.update({f"val_{k}": v for k, v in found.items()})
                calls.on_epoch_end(epoch, logs)
                if self.stop_training or getattr(adapter, "exhausted", False):
                    break
        self.optimizer.finalize_variable_values(self.trainable_variables)  # type: ignore[attr-defined]
        calls.on_train_end(logs)
        return self.history

    def _take_initial_batch(self) -> int:
        first, self._initial_batch = self._initial_batch or 0, None
        return first

    def _epoch_rng(self) -> np.random.Generator:
        """The order of rows follows from a seed and the number of epochs done, so a resumed run goes on equally."""
        return np.random.Generator(np.random.Philox(key=self._shuffle_seed, counter=[0, 0, 0, self._epochs_seen]))

    def _run_epoch(
        self, mode: str, adapter: Any, tables: Tables | None, rng: Any, calls: Any, first: int = 0
    ) -> dict[str, Any]:
        """Run a training or test step on each batch of an epoch and return the last logs."""
        if isinstance(adapter, ArrayAdapter):

            def find(rows: int) -> CompiledStep:
                batch = adapter.pack([a[:rows] for a in adapter.flat_arrays()])
                return self._step(mode, batch, rows=None if tables is None else rows)

            steps = steps_on_arrays(adapter, tables, adapter.epoch_indices(rng), find, first)
        else:
            batches = prefetched(adapter.epoch(rng), config.prefetch())
            steps = steps_on_batches(batches, lambda batch: self._step(mode, batch), first)
        begin, end = (getattr(calls, f"on_{mode}_batch_{when}") for when in ("begin", "end"))

        def stopped() -> bool:
            return mode == "train" and self.stop_training

        logs = run_steps(steps, begin, end, stopped, first=first, group=self.steps_per_execution)
        return {} if logs is None else logs.copy()

    def _validate(self, data: Any, batch_size: int | None, steps: int | None, calls: Any) -> dict[str, Any]:
        x, y, sample_weight = _validation_parts(data)
        result: dict[str, Any] = self.evaluate(
            x,
            y,
            batch_size=batch_size,
            sample_weight=sample_weight,
            steps=steps,
            verbose=0,
            callbacks=calls,
            return_dict=True,
        )
        return result

    # -- evaluate and predict --------------------------------------------------------------------------------------

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the loss and metrics on data: a number, a list, or with ``return_dict`` a dict.

        Args are as in :meth:`fit`; ``steps`` limits the number of batches.
        """
        if kwargs:
            raise ValueError(f"evaluate got unknown arguments {sorted(kwargs)}")
        self._require_compiled("evaluate")
        adapter = make_adapter(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            steps_per_epoch=steps,
            shuffle=False,
            float_dtype=self._float_dtype(),
        )
        calls = callbacks if isinstance(callbacks, callback_module.CallbackList) else None
        calls = calls or _callback_list(callbacks, self, verbose, 1, adapter.num_batches, history=False)
        calls.on_test_begin()
        self._prepare(adapter.peek())
        self._check_labels(adapter)
        self.reset_metrics()
        with loaded(self._tables, "test", adapter) as tables:
            logs = self._run_epoch("test", adapter, tables, None, calls)
        calls.on_test_end(logs)
        if return_dict:
            return logs
        return _as_list(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the model's outputs for all rows of ``x``, in order, as numpy arrays.

        Args:
            x: as in :meth:`fit`.
            batch_size: rows a step; default 32.
            verbose: 0 silent, 1 progress bar, 2 one line.
            steps: the most batches to take from a source of batches.
            callbacks: a list of callbacks.
        """
        quiet = not callbacks and verbose in (0, False)
        if quiet and isinstance(x, np.ndarray) and 0 < len(x) <= (batch_size or 32):
            return self.predict_on_batch(x)
        adapter = make_adapter(
            x, None, None, batch_size=batch_size, steps_per_epoch=steps, float_dtype=self._float_dtype()
        )
        calls = _callback_list(callbacks, self, verbose, 1, adapter.num_batches, history=False)
        calls.on_predict_begin()
        parts: list[list[np.ndarray[Any, Any]]] = []
        predictor: PredictFunction | None = None
        for number, batch in enumerate(adapter.epoch(None)):
            calls.on_predict_batch_begin(number)
            inputs = batch[0]
            predictor = self._predictor(inputs)
            parts.append(predictor([a for a in tree.flatten(inputs) if a is not None]))
            calls.on_predict_batch_end(number, {"outputs": parts[-1]})
        calls.on_predict_end()
        if predictor is None:
            raise ValueError("predict got no data: x has no batches")
        return predictor.pack([_joined([p[k] for p in parts]) for k in range(len(parts[0]))])

    def _predictor(self, x: Any) -> PredictFunction:
        key = signature(x, 1)
        found = self._predictors.get(key)
        if found is None:
            if not self._is_built():
                self._build_on(x)
            check_inputs(self, x)
            structure, types = describe((x,))
            open_batch = [t.with_shape(("batch", *t.shape[1:])) for t in types]
            found = PredictFunction(
                lambda batch: self.predict_step(pack_x_y_sample_weight(*batch)),
                structure,
                open_batch,
                f"{self.name}_predict",
                config.device(),
            )
            self._predictors[key] = found
        return found

    # -- single batches --------------------------------------------------------------------------------------------

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Take one training step on one batch and return the loss and metrics so far."""
        self._require_compiled("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("train_on_batch takes either sample_weight= or class_weight=, not both")
            sample_weight = class_weight_to_sample_weights(np.asarray(y), class_weight)
        return self._on_batch("train", x, y, sample_weight, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Evaluate one batch and return the loss and metrics so far."""
        self._require_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, return_dict)

    def _on_batch(self, mode: str, x: Any, y: Any, sample_weight: Any, return_dict: bool) -> Any:
        dtype = self._float_dtype()
        weights = to_arrays(sample_weight, "sample_weight", dtype)
        batch = (to_arrays(x, "x", dtype), to_arrays(y, "y", dtype), weights)
        step = self._step(mode, batch)
        step.fill(batch)
        step.run()
        logs = step.logs.copy()
        return logs if return_dict else _as_list(logs)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for one batch."""
        if isinstance(x, np.ndarray):
            known = self._predictors.get(signature(x, 1))
            if known is not None:
                return known.pack(known([x]))
        ready = isinstance(x, np.ndarray) and (x.dtype.kind in "iub" or x.dtype == self._float_dtype())
        if not ready:
            x = to_arrays(x, "x", self._float_dtype())
        predictor = self._predictor(x)
        arrays = [x] if isinstance(x, np.ndarray) else [a for a in tree.flatten(x) if a is not None]
        return predictor.pack(predictor(arrays))

    def compile_from_config(self, settings: Mapping[str, Any]) -> None:
        """Compile with what :meth:`get_compile_config` returned."""
        from nngraph.saving import deserialize_keras_object

        given = {k: deserialize_keras_object(v) for k, v in settings.items()}
        self.compile(**given)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return compile's arguments in a form that can be saved, or ``None``."""
        from nngraph.saving import serialize_keras_object

        if not self.compiled:
            return None
        return {k: serialize_keras_object(v) for k, v in self._compile_arguments.items() if v is not None}


def _mean(name: str) -> Any:
    return metrics.Mean(name=name)


def _due(epoch: int, frequency: Any) -> bool:
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else (epoch + 1) in frequency


def _validation_parts(data: Any) -> tuple[Any, Any, Any]:
    if isinstance(data, (tuple, list)) and 1 <= len(data) <= 3:
        parts = [*data, None, None]
        return parts[0], parts[1], parts[2]
    return data, None, None


def _as_list(logs: Mapping[str, Any]) -> Any:
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def _joined(parts: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _callback_list(
    callbacks: Any, model: Any, verbose: Any, epochs: int, steps: int | None, history: bool = True
) -> callback_module.CallbackList:
    if isinstance(callbacks, callback_module.CallbackList):
        return callbacks
    verbose = 1 if verbose == "auto" else int(verbose)
    return callback_module.CallbackList(
        callbacks,
        add_history=history,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=epochs,
        steps=steps,
    )
