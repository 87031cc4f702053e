"""Settings: the Keras ones, the environment table, and the error helpers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nngraph import config
from nngraph.errors import missing_extra, suggest, unknown_name


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch):
    for setting in config.SETTINGS.values():
        monkeypatch.delenv(setting.variable, raising=False)
    config.set_global_seed(None)
    with config.override():
        yield
    config.set_floatx("float32")
    config.set_epsilon(1e-7)
    config.set_image_data_format("channels_last")
    config.set_dtype_policy(None)
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(None)
    config.set_global_seed(None)
    config.enable_interactive_logging()


def test_defaults_are_those_of_keras():
    assert config.floatx() == "float32"
    assert config.epsilon() == 1e-7
    assert config.image_data_format() == "channels_last"
    assert config.max_epochs() is None
    assert config.max_steps_per_epoch() is None
    assert config.is_interactive_logging_enabled() is True
    assert config.is_traceback_filtering_enabled() is False
    assert config.dtype_policy().name == "float32"
    assert config.global_seed() is None


def test_policy_follows_floatx_until_it_is_set():
    config.set_floatx("float64")
    assert config.dtype_policy().compute_dtype == "float64"
    config.set_dtype_policy("float16")
    assert config.dtype_policy() == config.DTypePolicy("float16")
    config.set_floatx("float32")
    assert config.dtype_policy().variable_dtype == "float16"
    config.clear_session()
    assert config.dtype_policy().name == "float32"


def test_clear_session_calls_what_was_registered(monkeypatch):
    monkeypatch.setattr(config, "_session_callbacks", [])
    calls = []
    config.on_clear_session(lambda: calls.append(1))
    config.clear_session()
    assert calls == [1]


def test_policy_round_trips():
    policy = config.DTypePolicy("bfloat16")
    assert config.DTypePolicy.from_config(policy.get_config()) == policy
    assert repr(policy) == '<DTypePolicy "bfloat16">'


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: config.set_floatx("float23"), "Unknown floatx 'float23'. Did you mean 'float32'"),
        (lambda: config.set_image_data_format("channel_last"), "Did you mean 'channels_last'"),
        (lambda: config.set_epsilon(0), "epsilon must be positive"),
        (lambda: config.set_epsilon("small"), "epsilon must be a number"),
        (lambda: config.set_dtype_policy("mixed_float16"), "one dtype. Use a plain dtype such as 'float32'"),
        (lambda: config.set_dtype_policy("int8_from_float32"), "one dtype"),
        (lambda: config.set_dtype_policy("flaot32"), "Did you mean 'float32'"),
        (lambda: config.DTypePolicy(3), "named by a string"),
        (lambda: config.set_max_epochs(0), "max_epochs must be an integer >= 1"),
        (lambda: config.set_max_steps_per_epoch(1.5), "max_steps_per_epoch must be an integer >= 1"),
        (lambda: config.set_global_seed(-1), "global seed must be an integer >= 0"),
        (lambda: config.set_backend("jax"), "no backend 'jax'"),
        (lambda: config.setting("hom"), "Unknown setting 'hom'. Did you mean 'home'"),
        (
            lambda: config.set_setting("device", "tpu"),
            "for setting 'device': expected auto, cpu or cuda",
        ),
        (lambda: config.set_setting("debug", None), "needs a value"),
    ],
)
def test_bad_values_say_what_is_wrong(call, message):
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    assert message in str(error.value)


def test_environment_is_read_when_asked(monkeypatch, tmp_path):
    assert config.home() == Path.home() / ".nngraph"
    assert (config.debug(), config.verify(), config.device(), config.dump()) == (0, False, "auto", None)
    monkeypatch.setenv("NNGRAPH_HOME", str(tmp_path))
    monkeypatch.setenv("NNGRAPH_DEBUG", "3")
    monkeypatch.setenv("NNGRAPH_VERIFY", "yes")
    monkeypatch.setenv("NNGRAPH_DEVICE", "CPU")
    monkeypatch.setenv("NNGRAPH_DUMP", str(tmp_path / "dump"))
    assert config.home() == tmp_path
    assert (config.debug(), config.verify(), config.device()) == (3, True, "cpu")
    assert config.dump() == tmp_path / "dump"
    monkeypatch.setenv("NNGRAPH_DEBUG", "")
    assert config.debug() == 0


def test_overrides_win_and_end(monkeypatch):
    monkeypatch.setenv("NNGRAPH_DEBUG", "1")
    with config.override(debug=4, verify=True, dump=None):
        assert (config.debug(), config.verify()) == (4, True)
    assert (config.debug(), config.verify()) == (1, False)
    config.set_setting("debug", 2)
    assert config.debug() == 2
    config.reset_setting("debug")
    assert config.debug() == 1
    with pytest.raises(ValueError), config.override(debug=2, device="tpu"):
        pass
    assert config.debug() == 1


@pytest.mark.parametrize(("variable", "text"), [("NNGRAPH_DEBUG", "9"), ("NNGRAPH_VERIFY", "maybe")])
def test_malformed_environment_names_the_variable(monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)
    with pytest.raises(ValueError, match=f"Bad value '{text}' for environment variable {variable}"):
        config.setting(variable.removeprefix("NNGRAPH_").lower())


def test_table_lists_every_variable():
    text = config.describe_settings()
    lines = text.splitlines()[1:]
    assert len({line.index(setting.doc) for line, setting in zip(lines, config.SETTINGS.values(), strict=True)}) == 1
    assert all(setting.variable in text and setting.doc in text for setting in config.SETTINGS.values())


def test_config_and_errors_import_only_the_standard_library():
    code = (
        "import sys; before = set(sys.modules); import nngraph.config, nngraph.errors;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names) - {'nngraph'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_suggest():
    assert suggest("RMSProp", ["rmsprop", "sgd"]) == "rmsprop"
    assert suggest("sparse_categorical_cross_entropy", ["sparse_categorical_crossentropy", "mse"]) == (
        "sparse_categorical_crossentropy"
    )
    assert suggest(3, ["a"]) is None
    assert suggest("qqq", ["relu"]) is None


def test_unknown_name_with_many_options_lists_near_ones():
    options = [f"name_{index:03d}" for index in range(100)]
    text = str(unknown_name("thing", "name_0421", options))
    assert "Did you mean 'name_042'?" in text and "100 names are known" in text and "name_099" not in text
    assert text.count("'name_") == 10
    # Up to 30 names are all listed.
    assert str(unknown_name("thing", "zzz", options[:30])).count("'name_") == 30
    assert str(unknown_name("thing", "zzz", options[:31])).count("'name_") == 8
    assert str(unknown_name("thing", "x", [])) == "Unknown thing 'x'. There are no known names."


def test_missing_extra_gives_the_install_line():
    error = missing_extra("onnxruntime", "cpu", "cuda", purpose="Running a model")
    assert isinstance(error, ImportError) and error.name == "onnxruntime"
    assert 'pip install "nngraph[cpu]" or pip install "nngraph[cuda]"' in str(error)
