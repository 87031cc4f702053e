"""LambdaCallback, TerminateOnNaN, CSVLogger, RemoteMonitor, SwapEMAWeights."""

from __future__ import annotations

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from callback_fakes import FakeModel, FakeOptimizer, FakeVariable, run

from nngraph.callbacks import (
    Callback,
    CSVLogger,
    LambdaCallback,
    RemoteMonitor,
    SwapEMAWeights,
    TerminateOnNaN,
)


def test_lambda_callback_takes_any_hook():
    seen = []
    hooks = [name for name in vars(Callback) if name.startswith("on_")]
    callback = LambdaCallback(**{name: lambda *args, name=name: seen.append(name) for name in hooks})
    for name in hooks:
        getattr(callback, name)(0)
    assert seen == hooks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_epoch_ended": print}, "Unknown hook 'on_epoch_ended'. Did you mean 'on_epoch_end'?"),
        ({"on_epoch_end": 3}, "on_epoch_end must be a function. Received: 3"),
    ],
)
def test_lambda_callback_refuses(options, message):
    with pytest.raises((ValueError, TypeError)) as error:
        LambdaCallback(**options)
    assert message in str(error.value)


@pytest.mark.parametrize(("loss", "stops"), [(1.0, False), (None, False), (np.nan, True), (np.float32("inf"), True)])
def test_terminate_on_nan(loss, stops, capsys):
    callback = TerminateOnNaN()
    callback.set_model(FakeModel())
    callback.on_train_batch_end(3, {"loss": loss})
    assert callback.model.stop_training is stops
    assert capsys.readouterr().out == ("Batch 3: Invalid loss, terminating training\n" if stops else "")


def test_terminate_on_nan_may_raise():
    with pytest.raises(RuntimeError, match="The loss became nan at batch 3"):
        TerminateOnNaN(raise_error=True).on_train_batch_end(3, {"loss": np.nan})
    TerminateOnNaN(raise_error=True).on_train_batch_end(3, None)


def test_csv_of_keras(tmp_path):
    # The text that Keras 3.15 writes for these results.
    path = tmp_path / "new" / "log.csv"
    run(CSVLogger(path), [1.0, 2], b=np.float32(0.5), a=np.array([1, 2]), **{"0d": np.array(3.0)})
    assert path.read_text() == 'epoch,0d,a,b,val_loss\n0,3.0,"""[1, 2]""",0.5,1.0\n1,3.0,"""[1, 2]""",0.5,2\n'


def test_csv_is_replaced_or_continued(tmp_path):
    path = tmp_path / "log.csv"
    run(CSVLogger(path, separator=";"), [1.0])
    run(CSVLogger(path, separator=";", append=True), [2.0])
    assert path.read_text() == "epoch;val_loss\n0;1.0\n0;2.0\n"
    callback = CSVLogger(path)
    run(callback, [3.0])
    run(callback, [4.0])
    assert path.read_text() == "epoch,val_loss\n0,4.0\n"


def test_csv_gets_a_column_for_a_late_result(tmp_path):
    path = tmp_path / "log.csv"
    callback = CSVLogger(path)
    callback.on_train_begin()
    for epoch, logs in enumerate([{"loss": 1.0}, {"loss": 2.0, "val_loss": 3.0}, {"val_loss": 5.0}]):
        callback.on_epoch_end(epoch, logs)
    assert path.read_text() == "epoch,loss,val_loss\n0,1.0,NA\n1,2.0,3.0\n2,NA,5.0\n"


class Handler(BaseHTTPRequestHandler):
    received: list = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.received.append((self.path, self.headers["Content-Type"], self.headers.get("X-Key"), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


def test_remote_monitor():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        root = f"http://127.0.0.1:{server.server_port}"
        logs = {"loss": np.float32(0.5), "a": np.array([1, 2])}
        RemoteMonitor(root, headers={"X-Key": "k"}).on_epoch_end(1, logs)
        RemoteMonitor(root, path="/other", send_as_json=True).on_epoch_end(2, logs)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    (path, kind, key, body), (other_path, other_kind, _, other_body) = Handler.received
    assert (path, kind, key) == ("/publish/epoch/end/", "application/x-www-form-urlencoded", "k")
    assert json.loads(urllib.parse.parse_qs(body)["data"][0]) == {"epoch": 1, "loss": 0.5, "a": [1, 2]}
    assert (other_path, other_kind) == ("/other", "application/json")
    assert json.loads(other_body) == {"epoch": 2, "loss": 0.5, "a": [1, 2]}


def test_remote_monitor_without_server_warns():
    with pytest.warns(UserWarning, match=r"could not reach http://127\.0\.0\.1:1/publish"):
        RemoteMonitor("http://127.0.0.1:1").on_epoch_end(0, {})


class Averaging(FakeOptimizer):
    use_ema = True

    def __init__(self):
        super().__init__()
        self._trainable_variables = [FakeVariable([1.0, 2.0])]
        self._model_variables_moving_average = [FakeVariable([3.0, 4.0])]


def averaging_model():
    model = FakeModel()
    model.optimizer = Averaging()
    return model


def weights(model):
    return model.optimizer._trainable_variables[0].value.tolist()


def test_swap_ema_weights_around_evaluation():
    callback, model = SwapEMAWeights(), averaging_model()
    callback.set_model(model)
    for begin, end in (
        (callback.on_test_begin, callback.on_test_end),
        (callback.on_predict_begin, callback.on_predict_end),
    ):
        begin()
        assert weights(model) == [3.0, 4.0]
        end()
        assert weights(model) == [1.0, 2.0]
        assert model.optimizer._model_variables_moving_average[0].value.tolist() == [3.0, 4.0]


def test_swap_ema_weights_at_epochs():
    callback, model = SwapEMAWeights(swap_on_epoch=True), averaging_model()
    callback.set_model(model)
    callback.on_epoch_begin(0)
    assert weights(model) == [1.0, 2.0]
    callback.on_epoch_end(0)
    assert weights(model) == [3.0, 4.0]
    callback.on_epoch_begin(1)
    assert weights(model) == [1.0, 2.0]
    callback.on_epoch_end(1)
    callback.on_train_end()
    assert weights(model) == [3.0, 4.0]


def test_swap_ema_weights_needs_averages():
    with pytest.raises(ValueError, match=r"FakeOptimizer\(\.\.\., use_ema=True\)"):
        SwapEMAWeights().set_model(FakeModel())
    model = averaging_model()
    model.optimizer._model_variables_moving_average = []
    callback = SwapEMAWeights()
    callback.set_model(model)
    callback.on_test_begin()
    assert weights(model) == [1.0, 2.0]
