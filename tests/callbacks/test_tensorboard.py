"""TensorBoard: what stands in the event files."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from callback_fakes import FakeModel, FakeVariable

from nngraph.callbacks import CallbackList, TensorBoard

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")


class Model(FakeModel):
    def __init__(self):
        super().__init__()
        kernel = FakeVariable(np.arange(6.0).reshape(2, 3), "kernel")
        kernel4 = FakeVariable(np.ones((2, 2, 2, 2)), "filters")
        bias = FakeVariable(np.zeros(3), "bias")
        table = FakeVariable(np.eye(3), "embeddings")
        self.layers = [
            SimpleNamespace(name="dense", weights=[kernel, bias]),
            SimpleNamespace(name="conv", weights=[kernel4]),
            SimpleNamespace(name="words", weights=[table], embeddings=table),
        ]

    def export(self, path, format):
        import onnx
        from onnx import helper

        x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])
        y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
        onnx.save(helper.make_model(graph), path)
        print("exported")


def events(directory):
    (path,) = Path(directory).glob("events*")
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(event_pb2.Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def scalars(directory):
    return [
        (value.tag, event.step, value.simple_value)
        for event in events(directory)
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def tags(directory):
    return {value.tag for event in events(directory) for value in event.summary.value}


def fit(callback, epochs=2):
    callbacks = CallbackList([callback], model=Model())
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for batch in range(3):
            callbacks.on_train_batch_end(batch, {"loss": batch})
        callbacks.on_test_begin()
        callbacks.on_test_end({"loss": 0.5})
        callbacks.on_epoch_end(epoch, {"loss": 1.0 + epoch, "val_loss": 0.5})
    callbacks.on_train_end()


def test_results_of_epochs(tmp_path):
    fit(TensorBoard(tmp_path, write_graph=False))
    assert scalars(tmp_path / "train") == [("epoch_loss", 0, 1.0), ("epoch_loss", 1, 2.0)]
    assert scalars(tmp_path / "validation") == [
        ("evaluation_loss_vs_iterations", 7, 0.5),
        ("epoch_loss", 0, 0.5),
        ("evaluation_loss_vs_iterations", 7, 0.5),
        ("epoch_loss", 1, 0.5),
    ]


@pytest.mark.parametrize(("freq", "steps"), [("batch", [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6])])
def test_results_of_batches(tmp_path, freq, steps):
    fit(TensorBoard(tmp_path, write_graph=False, update_freq=freq))
    batches = [(step, value) for tag, step, value in scalars(tmp_path / "train") if tag == "batch_loss"]
    assert batches == [(step, float((step - 1) % 3)) for step in steps]


def test_nothing_is_asked_per_batch_when_epochs_are_enough():
    assert not CallbackList([TensorBoard()]).has_batch_hooks("train")


def test_evaluation_alone(tmp_path):
    callback = TensorBoard(tmp_path)
    callback.set_model(Model())
    callback.on_test_begin()
    callback.on_test_end({"loss": 0.5})
    assert scalars(tmp_path / "validation") == [("evaluation_loss_vs_iterations", 7, 0.5)]


@pytest.mark.parametrize("freq", ["epoch", "batch"])
def test_speed(tmp_path, monkeypatch, freq):
    # Each epoch of three steps takes from one reading of the clock to the next.
    clock = iter([0.0, 1.5, 10.0, 10.5])
    monkeypatch.setattr("nngraph.callbacks.tensorboard.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    fit(TensorBoard(tmp_path, write_graph=False, write_steps_per_second=True, update_freq=freq))
    speeds = [value for tag, _, value in scalars(tmp_path / "train") if tag == "epoch_steps_per_second"]
    assert speeds == [2.0, 6.0]


def test_weights_and_images(tmp_path):
    pytest.importorskip("PIL")
    fit(TensorBoard(tmp_path, write_graph=False, histogram_freq=2, write_images=True))
    weights = {"dense/kernel", "dense/bias", "conv/filters", "words/embeddings"}
    found = tags(tmp_path / "train")
    assert {f"{weight}/histogram" for weight in weights} <= found
    # A four-dimensional weight is no image.
    assert {f"{weight}/image" for weight in weights - {"conv/filters"}} == {tag for tag in found if "image" in tag}
    steps = {event.step for event in events(tmp_path / "train") for value in event.summary.value if "hist" in value.tag}
    assert steps == {0}


def test_graph(tmp_path, capsys):
    fit(TensorBoard(tmp_path), epochs=0)
    graphs = [event.graph_def for event in events(tmp_path / "train") if event.graph_def]
    assert len(graphs) == 1 and b"Relu" in graphs[0]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("as_dict", [False, True])
def test_embeddings(tmp_path, as_dict):
    labels = tmp_path / "labels.tsv"
    labels.write_text("one\ntwo\nthree\n")
    metadata = {"words": labels} if as_dict else labels
    fit(TensorBoard(tmp_path / "logs", write_graph=False, embeddings_freq=1, embeddings_metadata=metadata), epochs=1)
    (tensors,) = (tmp_path / "logs").rglob("tensors.tsv")
    np.testing.assert_array_equal(np.loadtxt(tensors), np.eye(3))
    (names,) = (tmp_path / "logs").rglob("metadata.tsv")
    assert names.read_text().split() == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"update_freq": "step"}, "update_freq must be"), ({"profile_batch": 2}, "profile_batch is not supported")],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard(**options)


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r'The callback TensorBoard needs .* pip install "nngraph\[tensorboard\]"'):
        fit(TensorBoard(tmp_path))
