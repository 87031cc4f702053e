"""The allow-list: what is written, what comes back, and that nothing else is ever found."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from nngraph import config
from nngraph.saving import registry
from nngraph.saving.registry import (
    CustomObjectScope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_builtin,
    register_keras_serializable,
    serialize_keras_object,
)


class Box:
    def __init__(self, value, inner=None):
        self.value, self.inner = value, inner

    def get_config(self):
        return {"value": self.value, "inner": serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(config["value"], deserialize_keras_object(config["inner"]))


class Built(Box):
    built_with = compiled_with = None

    def get_build_config(self):
        return {"input_shape": (None, 3)}

    def build_from_config(self, config):
        self.built_with = config

    def get_compile_config(self):
        return {"optimizer": "sgd"}

    def compile_from_config(self, config):
        self.compiled_with = config


def double(x):
    return 2 * x


def through_json(value, **kwargs):
    return deserialize_keras_object(json.loads(json.dumps(serialize_keras_object(value))), **kwargs)


@pytest.fixture(autouse=True)
def _own_tables(monkeypatch):
    for name in ("BUILTIN", "_builtin_names", "_custom_objects", "_custom_names"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    monkeypatch.setattr(registry, "_PACKAGES", ())


def test_the_form_is_that_of_keras():
    register_builtin(Box, "nngraph.layers")
    assert serialize_keras_object(Box(3)) == {
        "module": "nngraph.layers",
        "class_name": "Box",
        "config": {"value": 3, "inner": None},
        "registered_name": None,
    }
    register_keras_serializable("pkg")(Built)
    described = serialize_keras_object(Built(3))
    assert (described["module"], described["class_name"], described["registered_name"]) == (None, "Built", "pkg>Built")
    register_keras_serializable()(double)
    assert serialize_keras_object(double) == {
        "module": "builtins",
        "class_name": "function",
        "config": "Custom>double",
        "registered_name": "function",
    }


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        1.5,
        "text",
        [1, (2, (3,)), []],
        {"a": (1, None), "b": {"c": ()}},
        {0: 1.0, 1: "x"},
        {(1, 2): [3]},
        slice(1, None, 2),
        ...,
        b"\x00\xff",
    ],
    ids=repr,
)
def test_plain_values_survive_json(value):
    result = through_json(value)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    "array",
    [np.arange(6).reshape(2, 3), np.array(0.1, "float32"), np.zeros((0, 3), "uint8"), np.array([True, False])],
    ids=repr,
)
def test_arrays_survive_json(array):
    result = through_json({"a": [array]})["a"][0]
    np.testing.assert_array_equal(result, array)
    assert result.dtype == array.dtype and result.shape == array.shape


def test_a_dict_that_describes_nothing_stays_a_dict():
    register_keras_serializable("pkg")(Box)
    inner = serialize_keras_object(Box(1))
    result = deserialize_keras_object({"class_name": "x", "box": inner, "more": {"config": {}}})
    assert result["class_name"] == "x" and result["more"] == {"config": {}} and type(result["box"]) is Box
    # A description inside a configuration is left to the class around it.
    held = deserialize_keras_object(serialize_keras_object(Box({"class_name": "x"}, Box(2))))
    assert held.value == {"class_name": "x"} and held.inner.value == 2


def test_numpy_scalars_and_dtypes_become_plain():
    values = [np.float32(0.5), np.int64(3), np.bool_(True), np.dtype("float16"), np.uint8, float, np.float64(2.5)]
    plain = serialize_keras_object(values)
    assert plain == [0.5, 3, True, "float16", "uint8", "float32", 2.5]
    assert [type(value) for value in plain] == [float, int, bool, str, str, str, float]


def test_registered_classes_nest_and_round_trip():
    register_keras_serializable("pkg")(Box)
    box = through_json([Box((1, 2), inner=Box(np.arange(2)))])[0]
    assert box.value == (1, 2)
    np.testing.assert_array_equal(box.inner.value, [0, 1])


def test_registered_functions_round_trip():
    register_keras_serializable()(double)
    assert through_json({"f": double})["f"] is double
    assert deserialize_keras_object("Custom>double") is double


def test_builtins_round_trip_and_may_share_a_name():
    register_builtin(Box, "nngraph.losses", "Same")
    register_builtin(Built, "nngraph.metrics", "Same")
    register_builtin(double, "nngraph.activations")
    assert type(through_json(Box(1))) is Box
    assert type(through_json(Built(1))) is Built
    assert through_json(double) is double
    described = {"module": "builtins", "class_name": "function", "config": "double", "registered_name": "function"}
    assert deserialize_keras_object(described) is double


def test_the_module_decides_before_the_kind_that_asks():
    register_builtin(Box, "nngraph.losses", "Same")
    register_builtin(Built, "nngraph.metrics", "Same")
    described = serialize_keras_object(Built(1))
    assert type(deserialize_keras_object(described, module_objects={"Same": Box})) is Built
    del described["module"]
    assert type(deserialize_keras_object(described, module_objects={"Same": Box})) is Box


def test_descriptions_of_keras_are_understood():
    register_builtin(Box, "nngraph.layers")
    described = {"module": "keras.layers", "class_name": "Box", "config": {"value": 1, "inner": None}}
    assert type(deserialize_keras_object(described)) is Box
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float16"}, "registered_name": None}
    assert deserialize_keras_object(policy) == config.DTypePolicy("float16")
    array = {"class_name": "__numpy__", "config": {"value": [0, 1], "dtype": "int64"}}
    np.testing.assert_array_equal(deserialize_keras_object(array), [0, 1])


def test_a_builtin_that_is_registered_anew_goes_by_its_registered_name():
    register_builtin(Box, "nngraph.layers")
    register_keras_serializable("mine")(Box)
    assert serialize_keras_object(Box(1))["registered_name"] == "mine>Box"


def test_an_alias_finds_but_does_not_write():
    register_builtin(Box, "nngraph.layers")
    register_builtin(Box, "nngraph.layers", "Crate")
    assert serialize_keras_object(Box(1))["class_name"] == "Box"
    described = {"module": "nngraph.layers", "class_name": "Crate", "config": {"value": 1, "inner": None}}
    assert type(deserialize_keras_object(described)) is Box
    with pytest.raises(ValueError, match=r"nngraph\.layers\.Box is registered already"):
        register_builtin(Built, "nngraph.layers", "Box")


def test_build_and_compile_configurations_are_applied():
    register_keras_serializable()(Built)
    built = through_json(Built(1))
    assert built.built_with == {"input_shape": (None, 3)}
    assert built.compiled_with == {"optimizer": "sgd"}


def test_custom_objects_come_first():
    described = serialize_keras_object(Box(1))
    assert described["module"] is None
    assert type(deserialize_keras_object(described, custom_objects={"Box": Box})) is Box
    with CustomObjectScope({"Box": Box}):
        assert type(deserialize_keras_object(described)) is Box
        with CustomObjectScope({"Box": Built}):
            assert type(deserialize_keras_object(described)) is Built
            assert type(deserialize_keras_object(described, custom_objects={"Box": Box})) is Box
        assert get_registered_object("Box") is Box
    assert get_registered_object("Box") is None
    get_custom_objects()["Box"] = Box
    assert type(deserialize_keras_object(described)) is Box
    assert deserialize_keras_object("short", module_objects={"short": double}) is double


def test_custom_objects_reach_the_objects_inside():
    described = serialize_keras_object(Box(1, inner=Box(2)))
    assert deserialize_keras_object(described, custom_objects={"Box": Box}).inner.value == 2


def test_registered_names():
    assert get_registered_name(Box) == "Box"
    register_keras_serializable("pkg", "crate")(Box)
    assert get_registered_name(Box) == "pkg>crate"
    assert get_registered_object("pkg>crate") is Box
    register_keras_serializable("pkg", "crate")(Built)
    assert get_registered_object("pkg>crate") is Built


def test_nothing_is_imported_by_a_name_from_a_configuration():
    assert "wave" not in sys.modules
    for module, name in (("wave", "open"), ("os", "system"), ("builtins", "eval"), ("nngraph.config", "home")):
        for class_name, inner in ((name, {}), ("function", name)):
            described = {"module": module, "class_name": class_name, "config": inner, "registered_name": None}
            with pytest.raises(TypeError, match="is not registered"):
                deserialize_keras_object(described)
    assert "wave" not in sys.modules


def test_a_package_of_this_project_is_imported_when_it_is_named():
    code = (
        "from nngraph.saving.registry import deserialize_keras_object as load; import sys;"
        "assert 'nngraph.regularizers' not in sys.modules;"
        "config = {'module': 'keras.regularizers', 'class_name': 'L2', 'config': {'l2': 0.5}, 'registered_name': None};"
        "print(load(config).l2)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0.5\n", "")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deserialize_keras_object(serialize_keras_object(Box(1))), "The class 'Box' is not registered"),
        (lambda: deserialize_keras_object(serialize_keras_object(Box(1))), "custom_objects={'Box': Box}"),
        (lambda: deserialize_keras_object(serialize_keras_object(Box(1))), "register_keras_serializable()"),
        (lambda: deserialize_keras_object(serialize_keras_object(double)), "The function 'double' is not registered"),
        (
            lambda: deserialize_keras_object({"module": "nngraph", "class_name": "DTypePolice", "config": {}}),
            "Did you mean 'DTypePolicy'?",
        ),
        (
            lambda: deserialize_keras_object(
                {"module": "nngraph", "class_name": "DTypePolicy", "config": {"nome": "float32"}}
            ),
            "DTypePolicy could not be built from its configuration {'nome': 'float32'}",
        ),
        (lambda: deserialize_keras_object({"class_name": 3, "config": {}}), "named by a string. Received: 3"),
        (lambda: serialize_keras_object(lambda x: x), "A lambda cannot be serialized"),
        (lambda: serialize_keras_object({1, 2}), "{1, 2} of type set: it has no get_config()"),
        (lambda: serialize_keras_object(Box), "Box is a class. Only its instances"),
        (lambda: register_keras_serializable()(3), "decorates classes and functions. Received: 3"),
        (lambda: register_keras_serializable()(type("C", (), {})), "C cannot be registered: it has no get_config()"),
        (lambda: CustomObjectScope([Box]).__enter__(), "custom_objects must be a dict"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert message in str(error.value)
