"""Write what Keras computes in the cases beside this file: `python tests/golden/generate.py losses metrics ...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))


def rounded(x: Any) -> Any:
    """Nine digits are more than float32 has."""
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    if isinstance(x, list):
        return [rounded(v) for v in x]
    return float(f"{x:.9g}") if isinstance(x, float) else x


def losses() -> dict[str, Any]:
    import keras

    from golden import loss_cases as cases

    return {cases.key(*case): cases.compute(keras.losses, *case) for case in cases.CASES}


def metrics() -> dict[str, Any]:
    import keras

    from golden import metric_cases as cases

    return {cases.key(*case): cases.compute(keras.metrics, *case) for case in cases.CASES}


if __name__ == "__main__":
    for what in sys.argv[1:]:
        table = rounded(globals()[what]())
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in table.items())
        (HERE / f"{what}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
        print(f"{what}: {len(table)} cases")
