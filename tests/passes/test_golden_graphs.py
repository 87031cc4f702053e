"""The optimised zoo as text: what the pipeline leaves of each graph, to be read in a diff.

``UPDATE_GOLDEN=1 pytest tests/passes/test_golden_graphs.py`` writes the files anew after a change that is wanted.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import zoo
from nngraph.ir import Graph
from passes import PassManager, gradients, pipeline

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "graphs"


def gradient_of(name: str) -> Graph:
    output, inputs = zoo.DIFFERENTIABLE[name]
    return gradients(zoo.ZOO[name](), [output], inputs)


GRAPHS = {
    **zoo.ZOO,
    **{f"gradient_of_{name}": (lambda name=name: gradient_of(name)) for name in zoo.DIFFERENTIABLE},
}


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_left(name: str) -> None:
    graph = GRAPHS[name]()
    before = sum(1 for _ in graph.all_nodes())
    PassManager(pipeline("portable"), verify=False).run(graph)
    after = sum(1 for _ in graph.all_nodes())
    text = f"# {before} nodes before, {after} after\n{graph}\n"
    path = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path.name} is missing; write it with UPDATE_GOLDEN=1"
    assert text == path.read_text(encoding="utf-8"), "the pipeline leaves another graph; see the module's docstring"


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(GRAPHS)
