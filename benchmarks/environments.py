"""Virtual environments of the peers, outside the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["REQUIREMENTS", "ROOT", "create", "default_folder", "python_of", "size_of"]

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
_PREFIX = "bench-"


def default_folder() -> Path:
    """Return where environments lie: ``NNGRAPH_BENCHMARK_ENVS`` or a folder of the user's cache."""
    chosen = os.environ.get("NNGRAPH_BENCHMARK_ENVS")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "nngraph-benchmarks"


def python_of(environment: str, folder: Path) -> Path | None:
    """Return the interpreter of an environment, or None where it was not made."""
    python = folder / f"{_PREFIX}{environment}" / "bin" / "python"
    return python if python.exists() else None


def create(environment: str, folder: Path) -> str | None:
    """Make an environment and install its requirements; an existing one is brought up to date.

    Returns:
        None, or what went wrong.
    """
    target = folder / f"{_PREFIX}{environment}"
    folder.mkdir(parents=True, exist_ok=True)
    commands = [
        [sys.executable, "-m", "venv", str(target)],
        [str(target / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        + ["-r", str(REQUIREMENTS / f"{environment}.txt")],
    ]
    for command in commands if not target.exists() else commands[1:]:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            return "\n".join((done.stderr or done.stdout).strip().splitlines()[-3:])
    return None


def size_of(environment: str, folder: Path) -> int:
    """Return the bytes of what is installed in an environment besides pip; of nngraph, its three packages."""
    packages = next((folder / f"{_PREFIX}{environment}" / "lib").glob("python*/site-packages"))
    skipped = ("pip", "setuptools", "_distutils_hack", "pkg_resources")
    total = sum(
        path.lstat().st_size
        for entry in packages.iterdir()
        if not entry.name.startswith(skipped)
        for path in (entry.rglob("*") if entry.is_dir() else [entry])
        if path.is_file()
    )
    if environment == "nngraph":
        own = (p for package in ("nngraph", "passes", "exporters") for p in (ROOT / package).rglob("*"))
        total += sum(path.stat().st_size for path in own if path.is_file())
    return total
