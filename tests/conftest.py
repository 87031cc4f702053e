"""What every test shares: markers that skip by themselves, a private home, and the same seed each time."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

# Read by the packages when somebody asks, never at import: graphs are verified between passes in every test.
os.environ.setdefault("NNGRAPH_VERIFY", "1")
os.environ.setdefault("NNGRAPH_DEVICE", "cpu")
os.environ.setdefault("NNGRAPH_THREADS", "1")  # the test runner's processes share the cores
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@cache
def _has(*packages: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in packages)


@cache
def _has_cuda() -> bool:
    if importlib.util.find_spec("onnxruntime") is None:
        return False
    from nngraph.runtime.device import cuda_problem

    return cuda_problem() is None


@cache
def _has_web_tools() -> bool:
    packages = Path(__file__).resolve().parent.parent / "examples" / "trainers" / "node_modules"
    return shutil.which("node") is not None and (packages / "onnxruntime-web").is_dir()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needs = (
        ("cuda", _has_cuda, "needs onnxruntime-gpu and a CUDA device"),
        ("web", _has_web_tools, "needs Node.js, and `npm ci --ignore-scripts` in examples/trainers"),
    )
    for item in items:
        reference = item.get_closest_marker("reference")
        packages = (reference.args or ("keras", "jax")) if reference is not None else ()
        if not _has(*packages):
            reason = f'needs {" and ".join(packages)}: pip install -e ".[reference]"'
            item.add_marker(pytest.mark.skip(reason=reason))
        for marker, present, reason in needs:
            if item.get_closest_marker(marker) is not None and not present():
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _private_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep downloads and caches away from the user's own, for this process and those that it starts."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNGRAPH_HOME", str(home))
        yield home


@pytest.fixture(autouse=True)
def _same_seed() -> Iterator[None]:
    """Start every test from one seed and one way of talking, so that no test depends on those before it."""
    from nngraph import config

    random.seed(1234)
    np.random.seed(1234)
    config.set_global_seed(1234)
    yield
    config.set_global_seed(None)
    config.enable_interactive_logging()
