"""The pipelines as users see them: what is left of typical graphs."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import passes
import zoo
from nngraph.ir import Graph
from nngraph.ops import raw
from passes import PassManager, pipeline
from passes.pipelines import LEVELS
from passes.rewrite import example

ROOT = Path(__file__).resolve().parents[2]


def left(graph: Graph, level: int = 2, target: str = "cpu") -> Counter[str]:
    PassManager(pipeline(target, level)).run(graph)
    return Counter(node.op_id for node in graph.all_nodes())


def test_level_0_only_lowers() -> None:
    assert [p.name for p in pipeline("portable", 0)] == ["lower"]
    assert left(zoo.ZOO["identities"](), 0)["Neg"] == 2


def test_every_level_lowers_for_its_target() -> None:
    for level in LEVELS:
        assert {str(p) for p in pipeline("cuda", level) if p.name == "lower"} == {"lower{target=cuda}"}


@pytest.mark.parametrize(("level", "target"), [(4, "cpu"), (-1, "cpu"), (2, "tpu")])
def test_unknown_levels_and_targets(level: int, target: str) -> None:
    with pytest.raises(ValueError):
        pipeline(target, level)


def test_identities_vanish() -> None:
    assert not left(zoo.ZOO["identities"]())


def test_an_inference_convolution_is_one_node() -> None:
    graph = zoo.ZOO["inference_cnn"]()
    assert left(graph) == {"Conv": 1, "Relu": 1}
    assert graph.first is not None and len(graph.first.inputs) == 3 and graph.first.attributes["pads"] == (1, 1, 1, 1)


def test_dense_layers_are_gemms() -> None:
    assert left(zoo.ZOO["mlp"]()) == {"Gemm": 2, "Relu": 1}


def test_layer_normalisation_is_one_node() -> None:
    assert left(zoo.ZOO["layer_norm"]()) == {"LayerNormalization": 1}


def test_shapes_fold_to_what_is_known() -> None:
    assert left(zoo.ZOO["dynamic_shape"]()) == {"Reshape": 1, "Mul": 1, "Size": 1}


def test_the_gradient_of_a_dense_layer_has_no_transposes() -> None:
    found = left(passes.gradients(zoo.ZOO["mlp"](), ["y"], ["w1", "b1", "w2"]))
    assert "Transpose" not in found and found["Gemm"] == 4


def test_bias_reaches_its_convolution_through_the_transpose() -> None:
    graph = zoo.ZOO["channels_last_cnn"]()
    found = left(graph)
    assert found["Add"] == 0 and max(len(n.inputs) for n in graph if n.op == "Conv") == 3


def test_a_dynamic_batch_stays_dynamic() -> None:
    graph = zoo.ZOO["channels_last_residual"]()
    left(graph)
    for batch in (1, 5):
        from nngraph.runtime import Session

        feeds = {**zoo.feeds(graph), "x": np.zeros((batch, 4, 4, 2), "float32")}
        assert Session(graph, "cpu").run(feeds)["y"].shape[0] == batch


def test_named_types_survive() -> None:
    def fn(x):  # type: ignore[no-untyped-def]
        return raw.Reshape(raw.Reshape(raw.Neg(raw.Neg(x)), np.array([-1, 6])), np.array([-1, 3, 2]))

    graph = example(fn, "float32[batch, 2, 3]").graph()
    left(graph)
    assert graph.outputs[0].shape == ("batch", 3, 2)


def test_the_package_is_lazy() -> None:
    code = "import sys, passes; print(sorted(m for m in sys.modules if m.startswith(('passes.', 'nngraph', 'numpy'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", passes.__all__)
def test_public_names(name: str) -> None:
    assert getattr(passes, name).__doc__
    assert name in dir(passes)


def test_an_unknown_name_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'pipelin'"):
        passes.pipelin  # noqa: B018
