"""Write what Keras computes in the cases beside this file: `python tests/golden/generate.py losses metrics ...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))


def rounded(x: Any) -> Any:
    """Eight digits are more than float32 has."""
    if isinstance(x, dict):
        return {k: rounded(v) for k, v in x.items()}
    if isinstance(x, list):
        return [rounded(v) for v in x]
    return float(f"{x:.8g}") if isinstance(x, float) else x


def losses() -> dict[str, Any]:
    import keras

    from golden import loss_cases as cases

    return {cases.key(*case): cases.compute(keras.losses, *case) for case in cases.CASES}


def metrics() -> dict[str, Any]:
    import keras

    from golden import metric_cases as cases

    return {cases.key(*case): cases.compute(keras.metrics, *case) for case in cases.CASES}


def optimizers() -> dict[str, Any]:
    import keras
    import numpy as np

    from golden import optimizer_cases as cases

    def run(name: str, arguments: dict[str, Any]) -> list[list[float]]:
        optimizer = cases.make(keras.optimizers, name, arguments)
        variables = [keras.Variable(value, name=label) for label, value in cases.starts().items()]
        optimizer.build(variables)

        def apply(grads: list[Any]) -> None:
            optimizer.apply([keras.ops.array(g) for g in grads], variables)

        found = cases.run(optimizer, variables, apply)
        optimizer.finalize_variable_values(variables)
        return [*found, np.concatenate([np.asarray(v, "float64").ravel() for v in variables]).tolist()]

    return {cases.key(*case): run(*case) for case in cases.CASES}


def layers() -> dict[str, Any]:
    import keras

    sys.path.insert(0, str(HERE.parent / "layers"))
    import layer_cases as cases

    def run(case: cases.Case) -> list[Any]:
        layer = case.make(keras.layers)
        inputs = case.inputs()
        if not layer.built:
            layer.build([a.shape for a in inputs] if isinstance(inputs, list) else inputs.shape)
        layer.set_weights(case.weights([w.shape for w in layer.weights], [w.name for w in layer.weights]))
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
        outputs = cases.summary(layer(inputs, **cases.call_arguments(case)))
        return [outputs, *([cases.summary(w) for w in layer.weights] if case.training else [])]

    return {case.id: run(case) for case in cases.CASES if not case.random and case.id not in cases.NOT_IN_KERAS}


def ops() -> dict[str, Any]:
    import keras

    from golden import op_cases as cases

    dtypes = {name: cases.unary(keras.ops, name) for name in cases.UNARY}
    return {**dtypes, **{name: cases.binary(keras.ops, name) for name in cases.BINARY}}


def schedules() -> dict[str, Any]:
    import keras

    from golden import optimizer_cases as cases

    def rates(name: str, arguments: dict[str, Any]) -> list[float]:
        schedule = getattr(keras.optimizers.schedules, name)(**arguments)
        return [float(schedule(time)) for time in cases.TIMES]

    return {cases.key(*case): rates(*case) for case in cases.SCHEDULES}


if __name__ == "__main__":
    for what in sys.argv[1:]:
        table = rounded(globals()[what]())
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in table.items())
        (HERE / f"{what}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
        print(f"{what}: {len(table)} cases")
