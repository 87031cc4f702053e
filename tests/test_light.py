"""`import nngraph` is cheap: nothing heavy is loaded, nothing is started, nothing is written.

How long it takes is measured by benchmarks/imports.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("onnx", "onnxruntime", "networkx", "rich", "typer", "h5py", "pandas", "sklearn", "scipy", "PIL")

PROBE = """
import json, sys, threading, os
import numpy
numpy_threads, numpy_modules = threading.active_count(), set(sys.modules)
opened = []
def hook(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)) and args[1] not in (None, "r", "rb"):
        opened.append(str(args[0]))
    elif event in ("os.mkdir", "socket.connect", "subprocess.Popen"):
        opened.append(event)
sys.addaudithook(hook)
sys.dont_write_bytecode = True
import nngraph
print(json.dumps({
    "modules": sorted({name.split(".")[0] for name in set(sys.modules) - numpy_modules}),
    "threads": threading.active_count() - numpy_threads,
    "written": opened,
}))
"""


def probe(code: str, home: Path) -> dict[str, object]:
    environment = {**os.environ, "NNGRAPH_HOME": str(home), "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_import_loads_nothing_heavy(tmp_path: Path) -> None:
    report = probe(PROBE, tmp_path)
    loaded = set(report["modules"])
    assert "nngraph" in loaded
    assert loaded.isdisjoint(HEAVY), f"import nngraph loads {sorted(loaded & set(HEAVY))}"


def test_import_starts_and_writes_nothing(tmp_path: Path) -> None:
    report = probe(PROBE, tmp_path)
    assert report["threads"] == 0
    assert report["written"] == []
    assert list(tmp_path.iterdir()) == []


def test_the_probe_notices(tmp_path: Path) -> None:
    busy = PROBE.replace(
        "import nngraph\n",
        "import nngraph, networkx\n"
        "open(os.environ['HOME'] + '/trace', 'w').close()\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    )
    report = probe(busy, tmp_path)
    assert "networkx" in report["modules"]
    assert report["threads"] == 1
    assert len(report["written"]) == 1
