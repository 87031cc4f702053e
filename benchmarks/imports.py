"""How long an import and the command line's help take, and how much room the installed packages need.

    python benchmarks/imports.py [--rounds 15] [--json]

The commands are run in turns, so that a slow moment of the machine meets all of them; the median is reported.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import nngraph": ["-c", "import nngraph"],
    "nngraph --help": ["-m", "nngraph", "--help"],
}


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def installed_megabytes(root: str = "nngraph[cpu]") -> float:
    """Return the size of a distribution and of all that it requires, byte code included, in units of 10^6 bytes."""
    waiting, seen, sizes = [Requirement(root)], set(), {}
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        key = (name, frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        distribution = metadata.distribution(name)
        sizes[name] = sum(p.stat().st_size for p in files_of(distribution))
        for requirement in map(Requirement, distribution.requires or ()):
            chosen = [{"extra": extra} for extra in ("", *wanted.extras)]
            if requirement.marker is None or any(map(requirement.marker.evaluate, chosen)):
                waiting.append(requirement)
    return sum(sizes.values()) / 1e6


def files_of(distribution: metadata.Distribution) -> list[Path]:
    """Return a distribution's installed files; those of an editable nngraph are the packages themselves."""
    if distribution.name == "nngraph":
        return [p for package in ("nngraph", "passes", "exporters") for p in (ROOT / package).rglob("*") if p.is_file()]
    paths = (Path(str(distribution.locate_file(file))) for file in distribution.files or ())
    return [path for path in paths if path.is_file()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for arguments in COMMANDS.values():
        seconds(arguments)  # writes the byte code
    for _ in range(options.rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))

    medians = {name: statistics.median(values) for name, values in times.items()}
    size = installed_megabytes()
    if options.json:
        print(json.dumps({"seconds": medians, "megabytes": size}))
        return
    for name, median in medians.items():
        print(f"{name:16} {median * 1000:7.1f} ms   {median / medians['import numpy']:5.2f} × import numpy")
    print(f"{'installed':16} {size:7.1f} MB   nngraph[cpu] and all that it requires")


if __name__ == "__main__":
    main()
