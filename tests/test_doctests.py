"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest

from test_architecture import SOURCES

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("module", [name for name in SOURCES if name != "nngraph.__main__"])
def test_examples_in_docstrings(module: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(module), optionflags=FLAGS, extraglobs={"np": np})
    assert results.failed == 0, f"{results.failed} of {results.attempted} examples; see the captured output"


def test_a_wrong_example_is_found() -> None:
    def add(a: int, b: int) -> int:
        """>>> add(1, 1)
        3
        """
        return a + b

    (example,) = doctest.DocTestFinder().find(add, "add", globs={"add": add})
    assert doctest.DocTestRunner().run(example, out=lambda text: None).failed == 1
