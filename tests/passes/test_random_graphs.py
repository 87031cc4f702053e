"""Graphs made at random of everything that passes move, merge and rewrite: results and gradients stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zoo
from nngraph.ir import Graph, Value, is_float
from nngraph.ops import raw
from nngraph.ops.trace import Trace
from passes import PassManager, gradients, pipeline

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def i64(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


class Maker:
    """Grows a graph by steps drawn at random; every step takes values that are there and adds one."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.graph = Graph(f"random_{seed}")
        batch: Any = "batch" if self.rng.random() < 0.3 else 2
        channels = int(self.rng.choice([1, 3, 16]))
        self.values: list[Value] = [
            self.graph.add_input("x", zoo.f32(batch, 4, 5, channels)),
            self.graph.add_input("z", zoo.f32(batch, channels, 4, 5)),
            self.graph.add_input("v", zoo.f32(channels)),
        ]
        self.steps = [
            self.unary,
            self.binary,
            self.binary,
            self.turn,
            self.turn,
            self.conv,
            self.pool,
            self.scale,
            self.reduce,
            self.view,
            self.concat,
            self.cut,
            self.mask,
            self.softmax,
        ]

    def pick(self, *ranks: int) -> Value | None:
        found = [v for v in self.values if is_float(v.dtype) and (not ranks or v.ndim in ranks)]
        return found[int(self.rng.integers(max(0, len(found) - 6), len(found)))] if found else None

    def one_of(self, *things: Any) -> Any:
        return things[int(self.rng.integers(len(things)))]

    # -- steps ----------------------------------------------------------------------------------------------------

    def unary(self) -> Any:
        x = self.pick()
        op = self.one_of("Neg", "Tanh", "Relu", "Sigmoid", "Abs", "Identity", "Neg", "Relu")
        return getattr(raw, op)(x)

    def binary(self) -> Any:
        x = self.pick()
        assert x is not None
        others = [v for v in self.values if v.shape in (x.shape, x.shape[-1:])]
        y = self.one_of(*others) if x.ndim else x
        return getattr(raw, self.one_of("Add", "Sub", "Mul", "Max"))(*self.one_of((x, y), (y, x)))

    def turn(self) -> Any:
        x = self.pick(2, 3, 4)
        if x is None:
            return None
        if x.ndim == 4 and self.rng.random() < 0.8:
            return raw.Transpose(x, perm=self.one_of(FIRST, LAST))
        return raw.Transpose(x, perm=tuple(int(k) for k in self.rng.permutation(x.ndim)))

    def conv(self) -> Any:
        x = self.pick(4)
        if x is None or not isinstance(x.shape[1], int):
            return None
        filters = self.one_of(x.shape[1], 16)
        w = self.rng.normal(size=(filters, x.shape[1], 3, 3)).astype(np.float32) * 0.2
        w = w if self.rng.random() < 0.3 else self.graph.add_input(self.graph.unique_name("w"), zoo.f32(*w.shape))
        return raw.Conv(x, w, pads=(1, 1, 1, 1))

    def pool(self) -> Any:
        x = self.pick(4)
        if x is None or any(isinstance(d, int) and d < 2 for d in x.shape[2:]):
            return None
        return self.one_of(raw.MaxPool, raw.AveragePool)(x, kernel_shape=(2, 2), strides=(1, 1))

    def scale(self) -> Any:
        number = self.one_of(0.0, 1.0, -1.0, 2.0, 0.5)
        x = self.pick()
        op = self.one_of("Add", "Sub", "Mul", "Div")
        number = 2.0 if op == "Div" and number == 0 else number
        return getattr(raw, op)(x, np.float32(number))

    def reduce(self) -> Any:
        x = self.pick(1, 2, 3, 4)
        if x is None or not x.ndim:
            return None
        axes = self.rng.choice(x.ndim, size=int(self.rng.integers(1, x.ndim + 1)), replace=False)
        op = self.one_of("ReduceSum", "ReduceMean", "ReduceMax")
        return getattr(raw, op)(x, i64(*(int(a) for a in axes)), keepdims=int(self.rng.integers(2)))

    def view(self) -> Any:
        x = self.pick(1, 2, 3, 4)
        if x is None or not isinstance(x.shape[-1], int):
            return None
        return raw.Unsqueeze(x, i64(0)) if x.ndim < 4 else raw.Reshape(x, i64(-1, x.shape[-1]))

    def concat(self) -> Any:
        x = self.pick(2, 3, 4)
        return None if x is None else raw.Concat(x, raw.Neg(x), axis=self.one_of(-1, 1))

    def cut(self) -> Any:
        x = self.pick(2, 3, 4)
        if x is None or not isinstance(x.shape[-1], int) or x.shape[-1] < 2:
            return None
        return self.one_of(
            lambda: raw.Slice(x, i64(0), i64(x.shape[-1] - 1), i64(-1)),
            lambda: raw.Pad(x, i64(*[0] * (2 * x.ndim - 1), 1)),
            lambda: raw.Split(x, i64(1, x.shape[-1] - 1), axis=x.ndim - 1, outputs=2)[1],
        )()

    def mask(self) -> Any:
        x = self.pick()
        assert x is not None
        return raw.Mul(x, raw.Cast(raw.Greater(x, np.float32(0)), to="float32"))

    def softmax(self) -> Any:
        x = self.pick(1, 2, 3, 4)
        return None if x is None or not x.ndim else raw.Softmax(x, axis=self.one_of(-1, 0))

    def make(self, steps: int) -> Graph:
        with Trace(self.graph):
            while len(self.values) < steps:
                value = self.one_of(*self.steps)()
                if value is not None and value.type.size != 0:
                    self.values.append(value)
            # Bounded outputs, so that errors do not grow with the numbers.
            results = [raw.Tanh(raw.ReduceMean(self.values[-1], keepdims=0)), *self.values[-3:]]
        self.graph.set_outputs(results, [f"y{k}" for k in range(len(results))])
        return self.graph


def check(graph: Graph, target: str, level: int) -> None:
    wanted = zoo.run(graph)
    scale = {name: 1e-4 * max(1.0, float(np.abs(a).max(initial=0.0))) for name, a in wanted.items()}
    PassManager(pipeline(target, level), verify=True).run(graph)
    for name, result in zoo.run(graph).items():
        np.testing.assert_allclose(result, wanted[name], rtol=1e-3, atol=scale[name], err_msg=name)
    assert PassManager(pipeline(target, level), verify=False).run(graph).changes == 0, "not idempotent"


@pytest.mark.parametrize("seed", range(24))
def test_random_graphs(seed: int) -> None:
    check(Maker(seed).make(25), ("cpu", "portable")[seed % 2], 2)


@pytest.mark.parametrize("seed", range(100, 112))
def test_gradients_of_random_graphs(seed: int) -> None:
    graph = Maker(seed).make(18)
    check(gradients(graph, ["y0"], ["x", "z", "v"]), ("cpu", "portable")[seed % 2], 2)
