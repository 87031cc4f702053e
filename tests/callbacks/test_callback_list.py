"""CallbackList, History, ProgbarLogger and Progbar: who is called, when logs are read, what is written."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Mapping

import pytest
from callback_fakes import FakeModel

from nngraph import config
from nngraph.callbacks import Callback, CallbackList, History, LambdaCallback, ProgbarLogger
from nngraph.utils import Progbar
from nngraph.utils import progbar as progbar_module


class LazyLogs(Mapping):
    """Logs that count how often they are read."""

    def __init__(self, **values):
        self.values_by_name, self.reads = values, 0

    def __getitem__(self, name):
        self.reads += 1
        return self.values_by_name[name]

    def __iter__(self):
        return iter(self.values_by_name)

    def __len__(self):
        return len(self.values_by_name)


class Recorder(Callback):
    """Notes every hook."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _note(name):
    def hook(self, *args, **kwargs):
        self.calls.append((name, args[0] if args and not hasattr(args[0], "items") else None))

    return hook


for _name in [name for name in vars(Callback) if name.startswith("on_") and "on_batch" not in name]:
    setattr(Recorder, _name, _note(_name))


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def fit(callbacks, epochs=1, steps=3, logs=None, verbose=1):
    logs = {"loss": 0.5} if logs is None else logs
    callbacks.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for batch in range(3):
            callbacks.on_train_batch_begin(batch)
            callbacks.on_train_batch_end(batch, logs)
        callbacks.on_test_begin()
        callbacks.on_test_batch_begin(0)
        callbacks.on_test_batch_end(0, logs)
        callbacks.on_test_end(logs)
        callbacks.on_epoch_end(epoch, {"loss": 0.25, "val_loss": 0.125})
    callbacks.on_train_end()


def test_every_hook_reaches_every_callback_in_order():
    first, second = Recorder(), Recorder()
    callbacks = CallbackList([first, [second]])
    fit(callbacks)
    assert first.calls == second.calls
    assert [name for name, _ in first.calls] == [
        "on_train_begin",
        "on_epoch_begin",
        *["on_train_batch_begin", "on_train_batch_end"] * 3,
        "on_test_begin",
        "on_test_batch_begin",
        "on_test_batch_end",
        "on_test_end",
        "on_epoch_end",
        "on_train_end",
    ]
    first.calls.clear()
    callbacks.on_predict_begin()
    callbacks.on_predict_batch_begin(1)
    callbacks.on_predict_batch_end(1, {})
    callbacks.on_predict_end()
    callbacks.on_batch_begin(2)
    callbacks.on_batch_end(3)
    assert first.calls == [
        ("on_predict_begin", None),
        ("on_predict_batch_begin", 1),
        ("on_predict_batch_end", 1),
        ("on_predict_end", None),
        ("on_train_batch_begin", 2),
        ("on_train_batch_end", 3),
    ]


def test_batches_cost_nothing_when_nobody_listens():
    callbacks = CallbackList([History(), LambdaCallback(on_epoch_end=print)], model=FakeModel())
    assert not any(callbacks.has_batch_hooks(mode) for mode in ("train", "test", "predict"))
    logs = LazyLogs(loss=1.0)
    callbacks.on_train_batch_end(0, logs)
    assert logs.reads == 0


def test_logs_are_handed_on_as_they_are():
    seen = []
    callbacks = CallbackList([LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs))])
    logs = LazyLogs(loss=1.0)
    callbacks.on_train_batch_end(0, logs)
    assert seen == [logs] and seen[0] is logs and logs.reads == 0


def test_the_older_hook_names_work():
    class Old(Callback):
        def __init__(self):  # does not call Callback.__init__
            self.batches = []

        def on_batch_end(self, batch, logs=None):
            self.batches.append((batch, logs["loss"]))

    old = Old()
    callbacks = CallbackList(old)
    callbacks.set_params({})
    callbacks.set_model(FakeModel())
    assert callbacks.has_batch_hooks("train") and not callbacks.has_batch_hooks("test")
    callbacks.on_train_batch_end(4, {"loss": 2.0})
    assert old.batches == [(4, 2.0)]


def test_hooks_set_later_are_found_when_training_begins():
    callback, seen = Callback(), []
    callbacks = CallbackList([callback])
    callback.on_train_batch_begin = lambda batch, logs=None: seen.append(batch)
    callbacks.on_train_begin()
    callbacks.on_train_batch_begin(5)
    assert seen == [5]


def test_defaults_are_added_once_and_params_and_model_set():
    model = FakeModel()
    user = History()
    callbacks = CallbackList([user], add_history=True, add_progbar=True, model=model, verbose=1, epochs=2, steps=3)
    assert [type(callback) for callback in callbacks.callbacks] == [History, ProgbarLogger]
    assert callbacks.history is user is model.history
    assert user.params == {"verbose": 1, "epochs": 2, "steps": 3} and user.model is model
    late = LambdaCallback(on_train_batch_end=print)
    callbacks.append(late)
    assert callbacks.has_batch_hooks("train")
    assert CallbackList().history is None


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [([3], "Received: 3 of type int"), (History, "holds the class History. Give an object: History()")],
)
def test_wrong_callbacks(callbacks, message):
    with pytest.raises(TypeError) as error:
        CallbackList(callbacks)
    assert message in str(error.value)


def test_history_records_epochs():
    model = FakeModel()
    callbacks = CallbackList(add_history=True, model=model)
    fit(callbacks, epochs=2)
    assert model.history.history == {"loss": [0.25, 0.25], "val_loss": [0.125, 0.125]}
    assert model.history.epoch == [0, 1]


# --------------------------------------------------------------------------- progress


def seconds_hidden(text):
    return re.sub(r"\d+(s|ms|us)\b", "T", text)


def test_progress_in_a_file_is_one_line_per_epoch(capsys):
    fit(CallbackList(add_progbar=True), epochs=2)
    assert seconds_hidden(capsys.readouterr().out) == (
        "Epoch 1/2\n3/3 - T - T/step - loss: 0.2500 - val_loss: 0.1250\n"
        "Epoch 2/2\n3/3 - T - T/step - loss: 0.2500 - val_loss: 0.1250\n"
    )


@pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (1, 1), ("auto", 1), (2, 1)])
def test_verbose(capsys, verbose, lines):
    fit(CallbackList(add_progbar=True), verbose=verbose)
    assert capsys.readouterr().out.count("\n") == lines


def test_without_params_it_is_one_epoch_with_a_bar(capsys):
    callbacks = CallbackList(add_progbar=True)
    callbacks.on_epoch_begin(0)
    callbacks.on_train_batch_end(0, {})
    callbacks.on_epoch_end(0, {})
    assert seconds_hidden(capsys.readouterr().out) == "1/1 - T - T/step\n"
    callbacks.set_params({})
    callbacks.on_epoch_begin(0)
    callbacks.on_epoch_end(0, {})
    assert seconds_hidden(capsys.readouterr().out) == "0/0 - T - T/step\n"


def test_progress_reads_logs_only_when_it_draws(capsys):
    logs = LazyLogs(loss=1.0)
    fit(CallbackList(add_progbar=True), logs=logs)
    assert logs.reads == 0


def test_evaluate_and_predict_have_their_own_line(capsys):
    callbacks = CallbackList(add_progbar=True, verbose=1, epochs=1, steps=None)
    callbacks.on_test_begin()
    callbacks.on_test_batch_end(0, {"loss": 1.0})
    callbacks.on_test_batch_end(1, {"loss": 1.0})
    callbacks.on_test_end({"loss": 0.5})
    callbacks.on_predict_begin()
    callbacks.on_predict_batch_end(0, {"outputs": 3})
    callbacks.on_predict_end({"outputs": 3})
    assert seconds_hidden(capsys.readouterr().out) == "2/2 - T - T/step - loss: 0.5000\n1/1 - T - T/step\n"


def test_data_that_end_early_still_end_the_line(capsys):
    fit(CallbackList(add_progbar=True), steps=10)
    assert capsys.readouterr().out.startswith("3/3 - ")


def test_without_interactive_logging_the_line_goes_to_the_logger(capsys, caplog):
    config.disable_interactive_logging()
    try:
        with caplog.at_level(logging.INFO, logger="nngraph"):
            bar = Progbar(1, verbose=2)
            bar.update(1, {"loss": 1e-5})
    finally:
        config.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    assert caplog.messages[0].endswith("- loss: 1.0000e-05")


def draw(monkeypatch, *updates, **options):
    """Draw on a terminal, with a clock that goes one second per reading."""
    screen, clock = Terminal(), iter(range(1000))
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(progbar_module.time, "perf_counter", lambda: float(next(clock)))
    bar = Progbar(**options)
    for update in updates:
        bar.update(*update)
    return re.sub(r"\x1b\[\d+m", "", screen.getvalue()).split("\r")[1:]


def test_bar_on_a_terminal(monkeypatch):
    drawn = draw(monkeypatch, (1, [("loss", 2.0), ("note", "x")]), (4, {"loss": 1.0}), target=4, width=4)
    assert drawn[0] == "1/4 ━━━━ 3s 1s/step - loss: 2.0000 - note: x"
    assert drawn[1].rstrip() == "4/4 ━━━━ 2s 333ms/step - loss: 1.0000" and drawn[1].endswith("\n")


def test_bar_of_unknown_length(monkeypatch):
    drawn = draw(monkeypatch, (1,), (2, None, True), target=None, unit_name="sample")
    assert drawn == ["      1/Unknown 1s 1s/sample", "      2/Unknown 2s 1s/sample\n"]


def test_bar_counts_long_times(monkeypatch):
    drawn = draw(monkeypatch, (1,), (2,), target=4000)
    assert "1/4000" in drawn[0] and " 1:06:39 " in drawn[0]


def test_formats_of_times():
    durations = {0: "0s", 59.9: "59s", 60: "1:00", 125: "2:05", 3599: "59:59", 3600: "1:00:00", 7384: "2:03:04"}
    assert {seconds: progbar_module._format_duration(seconds) for seconds in durations} == durations
    rates = {0: "0s/x", 2.4: "2s/x", 1: "1s/x", 0.999: "999ms/x", 1e-3: "1ms/x", 9.99e-4: "999us/x", 2e-6: "2us/x"}
    assert {seconds: progbar_module._format_rate(seconds, "x") for seconds in rates} == rates
    values = {0.0: "0.0000e+00", 1e-3: "1.0000e-03", 1.1e-3: "0.0011", -2.0: "-2.0000"}
    assert {value: progbar_module._format("n", value).removeprefix(" - n: ") for value in values} == values


def test_the_first_step_does_not_count_for_the_rate(monkeypatch, capsys):
    # Readings of the clock: begun at 0, the first step done at 100, the third at 104.
    clock = iter([0.0, 100.0, 104.0])
    monkeypatch.setattr(progbar_module.time, "perf_counter", lambda: next(clock))
    bar = Progbar(3, verbose=2)
    bar.update(1)
    bar.update(3)
    assert capsys.readouterr().out == "3/3 - 104s - 2s/step\n"


def test_bar_is_not_drawn_more_often_than_the_interval(monkeypatch):
    updates = [(step, {"loss": 1.0}) for step in range(1, 11)]
    assert len(draw(monkeypatch, *updates, target=10, interval=2.5)) == 4
    assert len(draw(monkeypatch, *updates, target=10, interval=100)) == 2


def test_a_longer_line_is_covered(monkeypatch):
    drawn = draw(monkeypatch, (1, {"loss": 1.0}), (2, None), target=2)
    assert len(drawn[1].rstrip("\n")) >= len(drawn[0])


def test_bar_in_ascii(monkeypatch):
    monkeypatch.setattr(Terminal, "encoding", "ascii")
    assert "==" in draw(monkeypatch, (1,), target=2)[0]


def test_stateless_values_are_averaged(capsys):
    bar = Progbar(4, verbose=2, stateless_metrics=["a"])
    bar.add(1, {"a": 4.0, "b": 4.0})
    bar.add(2, {"a": 0.0, "b": 0.0})
    # Saying the same step again changes no mean.
    bar.update(3, {"a": 9.0, "b": 9.0})
    bar.add(1, {"a": 0.0, "b": 0.0})
    assert capsys.readouterr().out.endswith("a: 1.0000 - b: 0.0000e+00\n")
