"""plot_model and model_to_dot, on stand-ins for models and on real ones."""

from __future__ import annotations

import shutil
import stat
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest

import nngraph
from nngraph import layers
from nngraph.utils import model_to_dot, plot_model
from nngraph.utils.diagram import Box, Diagram

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def two_inputs():
    """Two inputs through a shared layer, one of them through a model inside the model, too."""
    a, b = nngraph.Input((4,), name="a"), nngraph.Input((4,), name="b")
    shared = layers.Dense(3, activation="relu", name="shared")
    inner = nngraph.Sequential([nngraph.Input((3,)), layers.Dense(5, name="i1"), layers.Dense(3, name="i2")], name="in")
    joined = layers.Add(name="add")([inner(shared(a)), shared(b)])
    return nngraph.Model([a, b], layers.Dense(1, name="out")(joined), name="m")


def test_arrows(two_inputs):
    diagram = model_to_dot(two_inputs)
    assert sorted(diagram.arrows) == [
        ("a", "shared"),
        ("add", "out"),
        ("b", "shared"),
        ("in", "add"),
        ("shared", "add"),
        ("shared", "in"),
    ]
    assert {box.key: box.lines for box in diagram.boxes}["in"] == ["in (Sequential)"]


def test_what_is_shown(two_inputs):
    two_inputs.get_layer("out").trainable = False
    diagram = model_to_dot(
        two_inputs, show_shapes=True, show_dtype=True, show_layer_activations=True, show_trainable=True
    )
    lines = {box.key: box.lines for box in diagram.boxes}
    assert lines["shared"] == [
        "shared (Dense)",
        "activation: relu",
        "dtype: float32",
        "input: (None, 4)",
        "output: (None, 3)",
        "trainable",
    ]
    assert lines["add"] == ["add (Add)", "dtype: float32", "input: (None, 3), (None, 3)", "output: (None, 3)"]
    assert lines["a"] == ["a (InputLayer)", "dtype: float32", "output: (None, 4)"]
    assert lines["out"][-1] == "not trainable"
    assert model_to_dot(two_inputs, show_layer_names=False).boxes[0].lines == ["InputLayer"]


def test_nested_models_may_be_expanded(two_inputs):
    diagram = model_to_dot(two_inputs, expand_nested=True)
    groups = {box.key: box.group for box in diagram.boxes}
    assert groups["in/i1"] == groups["in/i2"] == "in" and groups["out"] == ""
    assert {("shared", diagram.boxes[3].key), ("in/i1", "in/i2"), ("in/i2", "add")} <= set(diagram.arrows)
    text = diagram.to_string()
    assert text.count("{") == text.count("}") == 2 and 'subgraph "cluster_in"' in text


def test_sequential_and_subclassed_models():
    model = nngraph.Sequential([nngraph.Input((3,)), layers.Dense(2, name="first"), layers.Dense(1, name="second")])
    assert model_to_dot(model).arrows[-1] == ("first", "second")

    class Own(nngraph.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, name="dense")

        def call(self, x):
            return self.dense(x)

    own = Own()
    with pytest.raises(ValueError, match="is not built"):
        model_to_dot(own)
    own.build((None, 3))
    assert [box.key for box in model_to_dot(own, show_shapes=True).boxes] == ["dense"]


def test_files_that_need_nothing(two_inputs, tmp_path):
    plot_model(two_inputs, tmp_path / "m.dot", rankdir="LR", show_layer_names=True)
    text = (tmp_path / "m.dot").read_text()
    assert text.startswith('digraph {\n  rankdir="LR";') and '"add" -> "out";' in text
    plot_model(two_inputs, tmp_path / "m.svg", show_shapes=True)
    root = ElementTree.parse(tmp_path / "m.svg").getroot()
    assert [text.text for text in root.iter(f"{SVG}text")][:2] == ["InputLayer", "output: (None, 4)"]
    assert len(list(root.findall(f"{SVG}path"))) == 6


def overlaps(a, b):
    return all(
        float(a.get(low)) < float(b.get(low)) + float(b.get(size))
        and float(b.get(low)) < float(a.get(low)) + float(a.get(size))
        for low, size in (("x", "width"), ("y", "height"))
    )


@pytest.mark.parametrize("which", ["model", "one box"])
def test_drawn_boxes_do_not_overlap_and_hold_their_text(two_inputs, which):
    one = Diagram([Box("a", ["a title of some length", "second line", "third"])])
    diagram = one if which == "one box" else model_to_dot(two_inputs, show_shapes=True, expand_nested=True)
    root = ElementTree.fromstring(diagram.to_svg())
    boxes = [rect for rect in root.findall(f"{SVG}rect") if rect.get("rx")]
    assert len(boxes) == len(diagram.boxes)
    assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if overlaps(a, b)]
    for box in boxes:
        for low, size in (("x", "width"), ("y", "height")):
            assert float(box.get(low)) >= 0
            assert float(box.get(low)) + float(box.get(size)) <= float(root.get(size))
    texts = iter(root.findall(f"{SVG}text"))
    for box, drawn in zip(diagram.boxes, boxes, strict=True):
        baselines = [float(next(texts).get("y")) for _ in box.lines]
        assert baselines == sorted(set(baselines))
        top = float(drawn.get("y"))
        assert top + 10 <= baselines[0] and baselines[-1] <= top + float(drawn.get("height"))


def test_a_row_is_centred_and_keeps_the_order_of_the_row_above():
    boxes = [Box(key, ["same"]) for key in "abcde"]
    centres = Diagram(boxes, [("a", "c"), ("b", "d"), ("c", "e"), ("d", "e")])._layout()
    assert centres["e"][0] == (centres["a"][0] + centres["b"][0]) / 2
    assert (centres["a"][0], centres["b"][0]) == (centres["c"][0], centres["d"][0])
    crossed = Diagram(boxes, [("a", "d"), ("b", "c"), ("c", "e"), ("d", "e")])._layout()
    assert crossed["d"][0] == crossed["a"][0] < crossed["b"][0] == crossed["c"][0]


def test_a_row_lies_below_those_it_needs():
    boxes = [Box(key, [key]) for key in "abcd"]
    centres = Diagram(boxes, [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("d", "b")])._layout()
    heights = [centres[key][1] for key in "abcd"]
    assert heights == sorted(set(heights))
    assert Diagram().to_svg().startswith("<svg")


def test_text_is_quoted():
    diagram = Diagram([Box('a"b', ['x "y" \\ <z>'])])
    assert '"a" [label="one\\ntwo"];' in Diagram([Box("a", ["one", "two"])]).to_string()
    assert '"a\\"b" [label="x \\"y\\" \\\\ <z>"];' in diagram.to_string()
    assert 'x "y" \\ &lt;z&gt;' in diagram.to_svg()


def test_pictures_need_graphviz(two_inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"as \.png needs Graphviz .* to_file='model\.svg'"):
        plot_model(two_inputs, tmp_path / "model.png")


def test_graphviz_is_run(two_inputs, tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "$1"\ncat\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    plot_model(two_inputs, tmp_path / "model.png")
    assert (tmp_path / "model.png").read_text().startswith("-Tpng\ndigraph {")
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    with pytest.raises(RuntimeError, match=r"Graphviz could not write .*: broken"):
        plot_model(two_inputs, tmp_path / "model.png")


def test_wrong_arguments(two_inputs):
    with pytest.raises(TypeError, match="no argument 'show_colours'"):
        model_to_dot(two_inputs, show_colours=True)
    with pytest.raises(ValueError, match="Model 'm' is not built"):
        model_to_dot(SimpleNamespace(name="m", built=False))
