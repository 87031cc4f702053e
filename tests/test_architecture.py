"""The shape of the packages: which way imports point, who may import what, and what every module owes its readers."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_origin

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("nngraph", "passes", "exporters")
MAX_LINES = 700

# Bottom first; an import may point to its own tier or to one below. The longest matching prefix decides; a module of
# nngraph that no prefix names belongs to the Keras tier.
KERAS_TIER = "the Keras API"
TIERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "foundations",
        ("nngraph.version", "nngraph.errors", "nngraph.config", "nngraph.tree", "nngraph.garbage", "nngraph.registry"),
    ),
    ("the graph", ("nngraph.ir",)),
    ("the schema", ("nngraph.schema", "nngraph.proto", "nngraph.symbolic")),
    ("serde", ("nngraph.serde",)),
    ("the runtime", ("nngraph.runtime",)),
    ("operations", ("nngraph.ops",)),
    ("passes", ("passes",)),
    ("exporters", ("exporters",)),
    (KERAS_TIER, ()),
    ("models", ("nngraph.models",)),
    ("the command line", ("nngraph.cli", "nngraph.__main__")),
)
# The lazy façade names everything and imports nothing by itself (tests/test_light.py), so it has no tier.
FACADE = "nngraph"

# Third parties that only some modules may import. An empty tuple means nobody.
ALLOWED_IMPORTERS: dict[str, tuple[str, ...]] = {
    "onnx": ("nngraph.schema", "nngraph.proto", "nngraph.serde", "nngraph.runtime", "exporters"),
    "onnxruntime": ("nngraph.runtime",),
    "networkx": ("nngraph.ir.nx",),
    "torch": (),
    "tensorflow": (),
    "jax": (),
    "keras": (),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES: dict[str, Path] = {module_name(p): p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))}


def is_under(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def tier_of(module: str) -> int:
    """Return the height of a module's tier."""
    matches = [(len(p), height) for height, (_, prefixes) in enumerate(TIERS) for p in prefixes if is_under(module, p)]
    if matches:
        return max(matches)[1]
    return next(height for height, (name, _) in enumerate(TIERS) if name == KERAS_TIER)


def imports_of(module: str, source: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute name) of everything a module imports, at any depth of nesting.

    `from a import b` is an import of `a.b` where that is a module of ours, and of `a` otherwise.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = module.split(".") if is_package else module.split(".")[:-1]
                anchor = anchor[: len(anchor) - (node.level - 1)]
                base = ".".join([*anchor, base] if base else anchor)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield node.lineno, full if full in SOURCES else base


def upward_arrows(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Return one line for every import of a module that points up the list of tiers."""
    if module == FACADE:
        return []
    faults = []
    for line, target in imports_of(module, source, is_package=is_package):
        if target.split(".")[0] not in PACKAGES:
            continue
        if target == FACADE:
            faults.append(f"{module}:{line} imports the façade; import the module that defines the name")
        elif tier_of(target) > tier_of(module):
            here, there = TIERS[tier_of(module)][0], TIERS[tier_of(target)][0]
            faults.append(f"{module}:{line} ({here}) imports {target} ({there})")
    return faults


def foreign_imports(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Return one line for every third-party import that the module is not allowed."""
    faults = []
    for line, target in imports_of(module, source, is_package=is_package):
        allowed = ALLOWED_IMPORTERS.get(target.split(".")[0])
        if allowed is not None and not any(is_under(module, prefix) for prefix in allowed):
            faults.append(f"{module}:{line} imports {target}; only {', '.join(allowed) or 'nobody'} may")
    return faults


def all_faults(check) -> list[str]:
    return [
        fault
        for module, path in SOURCES.items()
        for fault in check(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py")
    ]


def test_imports_point_down() -> None:
    faults = all_faults(upward_arrows)
    assert not faults, "\n".join(faults)


def test_third_parties_stay_in_their_place() -> None:
    faults = all_faults(foreign_imports)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("nngraph.ir.core", "from nngraph.ops import add"),
        ("nngraph.ir.core", "def f():\n    import passes.fold"),
        ("nngraph.ops.nn", "from passes import fold"),
        ("passes.fold", "import exporters"),
        ("exporters.onnx", "from nngraph.layers import Dense"),
        ("nngraph.losses", "from nngraph.models.trainer import Trainer"),
        ("nngraph.models", "from .cli import main"),
        ("nngraph.layers.core", "import nngraph"),
        ("nngraph.errors", "from nngraph import ir"),
    ],
)
def test_an_upward_arrow_is_found(module: str, source: str) -> None:
    assert len(upward_arrows(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("nngraph.cli", "from nngraph.models import Model"),
        ("nngraph.losses", "from nngraph.metrics import Mean"),
        ("passes.fold", "from nngraph.ir import Graph\nimport numpy"),
        ("nngraph.layers.core", "from ..ops import nn"),
    ],
)
def test_a_downward_arrow_is_accepted(module: str, source: str) -> None:
    assert upward_arrows(module, source) == []


@pytest.mark.parametrize(
    ("module", "source", "faults"),
    [
        ("nngraph.layers.core", "import onnx.helper", 1),
        ("nngraph.serde", "from onnx import helper", 0),
        ("nngraph.serde", "def f():\n    import onnxruntime as ort", 1),
        ("nngraph.runtime.session", "import onnxruntime as ort", 0),
        ("nngraph.ir.graph", "import networkx as nx", 1),
        ("nngraph.ir.nx", "import networkx as nx", 0),
        ("passes.onnx", "from .onnx import thing", 0),
        ("exporters.onnx", "import jax.numpy as jnp", 1),
    ],
)
def test_a_foreign_import_is_found(module: str, source: str, faults: int) -> None:
    assert len(foreign_imports(module, source)) == faults


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_can_be_imported_first(package: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {package}"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", [name for name in SOURCES if name != "nngraph.__main__"])
def test_public_names_are_declared_and_documented(module: str) -> None:
    imported = importlib.import_module(module)
    public = [
        node.name
        for node in ast.parse(SOURCES[module].read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    declared = getattr(imported, "__all__", None)
    assert imported.__doc__, "the module has no docstring"
    assert declared is not None or not public, f"no __all__, but defines {public}"
    undocumented = [name for name in declared or () if not is_documented(getattr(imported, name))]
    assert not undocumented, f"no docstring: {undocumented}"


def is_documented(thing: object) -> bool:
    """Say whether a function or class carries a docstring; other objects need none."""
    is_alias = get_origin(thing) is not None
    if is_alias or not callable(thing) or not hasattr(thing, "__name__"):
        return True
    doc = thing.__doc__
    # A dataclass without a docstring is given its signature.
    return bool(doc) and not doc.startswith(f"{thing.__name__}(")


@pytest.mark.parametrize("module", SOURCES)
def test_files_stay_readable(module: str) -> None:
    lines = SOURCES[module].read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES, f"{lines} lines; split it by what it is about (at most {MAX_LINES})"
