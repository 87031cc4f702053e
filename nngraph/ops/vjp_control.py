"""Gradients of If, Scan and Loop.

The gradient of a loop is a Scan that runs over the steps backwards. What the forward body computed and the gradient
needs is returned by the forward loop for every step and read again: nothing is computed twice. Two kinds of work leave
the loop: what does not depend on the gradient's state is computed for all steps at once before it, and the gradient of
a weight that multiplies every step's tensor is one product of all steps after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nngraph.ir import Graph, Node, Value, copy_node, is_float
from nngraph.ops.axes import zeros_of
from nngraph.ops.loop_motion import hoist_invariants, hoist_steps, regroup_products
from nngraph.ops.subgraph import add_scan_output, as_output, trace_body
from nngraph.ops.trace import Trace, apply, current_trace, inline
from nngraph.ops.vjp import Reverse, raw, rule_attributes, vjp_node
from nngraph.registry import lookup
from nngraph.schema import loop_count

__all__: list[str] = []

Pairs = list[tuple[Value, Any]]


@vjp_node("If")
def _(node: Node, gs: Sequence[Value | None], reverse: Reverse) -> Pairs:
    """Both branches again, each followed by its gradient with respect to what either branch uses from outside."""
    wanted = [v for v in node.captures() if is_float(v.dtype) and reverse.wants(v)]
    arriving = [(k, g) for k, g in enumerate(gs) if g is not None and is_float(node.outputs[k].dtype)]
    if not wanted or not arriving:
        return []

    def gradient_of(branch: Graph) -> Graph:
        def run() -> list[tuple[Any, str | None]]:
            outputs = inline(branch, [])
            ys = [outputs[k] for k, _ in arriving]
            return [(g, None) for g in reverse.gradients(ys, wanted, [g for _, g in arriving])]

        return trace_body(f"{branch.name}_gradient", [], run)

    found = apply(
        "If",
        node.inputs[0],
        outputs=len(wanted),
        types=[v.type for v in wanted],
        then_branch=gradient_of(node.attributes["then_branch"]),
        else_branch=gradient_of(node.attributes["else_branch"]),
    )
    return list(zip(wanted, [found] if len(wanted) == 1 else found, strict=True))


@dataclass(slots=True)
class _Steps:
    """A step input: the body's value, the stacked tensor, its axis and direction."""

    inner: Value
    outer: Value
    axis: int = 0
    direction: int = 0


@dataclass(slots=True)
class _Loop:
    """What Scan and Loop have in common."""

    node: Node
    body: Graph
    init: list[Value]
    state_in: list[Value]
    state_out: list[Value]
    steps: list[_Steps]
    stacked_out: list[Value]
    out_axes: tuple[int, ...]
    out_directions: tuple[int, ...]
    counters: list[Value] = field(default_factory=list)

    @property
    def states(self) -> int:
        return len(self.init)


def _view(node: Node) -> _Loop:
    body: Graph = node.attributes["body"]
    inputs = [v for v in node.inputs if v is not None]
    if node.op == "Loop":
        init = list(node.inputs[2:])
        states = [v for v in init if v is not None]
        split = 1 + len(states)
        outputs = len(body.outputs) - split
        return _Loop(
            node,
            body,
            states,
            body.inputs[2:],
            body.outputs[1:split],
            [],
            body.outputs[split:],
            (0,) * outputs,
            (0,) * outputs,
            body.inputs[:2],
        )
    count = int(node.attributes["num_scan_inputs"])
    split = len(inputs) - count
    outputs = len(body.outputs) - split
    attribute = node.attributes.get
    axes = attribute("scan_input_axes") or (0,) * count
    ways = attribute("scan_input_directions") or (0,) * count
    steps = [_Steps(*item) for item in zip(body.inputs[split:], inputs[split:], axes, ways, strict=True)]
    return _Loop(
        node,
        body,
        inputs[:split],
        body.inputs[:split],
        body.outputs[:split],
        steps,
        body.outputs[split:],
        tuple(attribute("scan_output_axes") or (0,) * outputs),
        tuple(attribute("scan_output_directions") or (0,) * outputs),
    )


@vjp_node("Scan", "Loop")
def _(node: Node, gs: Sequence[Value | None], reverse: Reverse) -> Pairs:
    """One Scan over the saved steps, last first, that carries the gradient of the state."""
    loop = _view(node)
    captured = [v for v in node.captures() if is_float(v.dtype) and reverse.wants(v)]
    wanted_steps = [s for s in loop.steps if is_float(s.outer.dtype) and reverse.wants(s.outer)]
    carried = _carried(loop, captured, wanted_steps, reverse)
    if not captured and not wanted_steps and not carried:
        return []

    def run() -> Pairs:
        return _Reversal(loop, reverse, captured, wanted_steps, carried).run(gs)

    if node.op == "Scan":
        return run()
    count = loop_count(node)
    if count == 0:
        return [(loop.init[k], gs[k]) for k in carried]
    return run() if count else _if_it_ran(loop, gs, carried, run, reverse)


def _if_it_ran(
    loop: _Loop, gs: Sequence[Value | None], carried: Sequence[int], run: Callable[[], Pairs], reverse: Reverse
) -> Pairs:
    """The gradient of a loop that may run zero times, which no Scan can: then the state's gradient passes through."""
    pairs: Pairs = []

    def ran() -> list[tuple[Any, str | None]]:
        pairs.extend(run())
        return [(reverse.fitted(g, value), None) for value, g in pairs]

    def did_not() -> list[tuple[Any, str | None]]:
        states = [gs[k] if gs[k] is not None else zeros_of(loop.init[k]) for k in carried]
        return [(g, None) for g in (*states, *(zeros_of(value) for value, _ in pairs[len(states) :]))]

    rounds = add_scan_output(loop.node, loop.counters[0])
    then, other = trace_body("ran", [], ran), trace_body("did_not_run", [], did_not)
    flag = raw.Greater(raw.Size(rounds), np.int64(0))
    types = [value.type for value, _ in pairs]
    found = apply("If", flag, outputs=len(pairs), types=types, then_branch=then, else_branch=other)
    return list(zip((value for value, _ in pairs), [found] if len(pairs) == 1 else found, strict=True))


def _carried(loop: _Loop, captured: Sequence[Value], steps: Sequence[_Steps], reverse: Reverse) -> list[int]:
    """The states through which gradients flow: those that depend on something wanted, directly or over a step."""
    floats = [k for k, v in enumerate(loop.init) if is_float(v.dtype)]
    found = {k for k in floats if reverse.wants(loop.init[k])}
    while True:
        sources = [*captured, *(s.inner for s in steps), *(loop.state_in[k] for k in found)]
        reached = reverse.dependents(loop.body, sources)
        more = {k for k in floats if k not in found and loop.state_out[k] in reached}
        if not more:
            return sorted(found)
        found |= more


@dataclass(slots=True)
class _Deferred:
    """A use of a captured weight whose gradient is computed once, for all steps together."""

    weight: Value
    node: Node  # in the scratch graph
    index: int


class _Reversal:
    """Builds the backward Scan of one loop, by way of a scratch graph: a copy of the body and its gradient."""

    def __init__(
        self, loop: _Loop, reverse: Reverse, captured: list[Value], steps: list[_Steps], carried: list[int]
    ) -> None:
        trace = current_trace()
        assert trace is not None
        self.outer = trace
        self.loop = loop
        self.reverse = reverse
        self.captured = captured
        self.steps = steps
        self.carried = carried
        self.scratch = Graph(f"{loop.body.name}_scratch", parent=trace.graph)
        self.mapping: dict[Value, Value] = {}  # body to scratch
        self.copied: dict[Node, Node] = {}  # scratch to body
        self.deferred: list[_Deferred] = []
        self.local: dict[Value, Value] = {}  # captured value to its stand-in in scratch

    def run(self, gs: Sequence[Value | None]) -> Pairs:
        loop, scratch = self.loop, self.scratch
        arriving = [
            (k, g) for k, g in enumerate(gs[loop.states :]) if g is not None and is_float(loop.stacked_out[k].dtype)
        ]
        inner = Trace(scratch, outer=self.outer)
        inner.forward = self.outer.forward
        with inner:
            self._copy_forward(inner)
            self._separate_weights()
            g_states = [scratch.add_input("g_state", loop.init[k].type) for k in self.carried]
            g_steps = [scratch.add_input("g_step", loop.stacked_out[k].type) for k, _ in arriving]
            ys = [self.mapping[loop.state_out[k]] for k in self.carried]
            ys += [self.mapping[loop.stacked_out[k]] for k, _ in arriving]
            xs = [self.mapping[loop.state_in[k]] for k in self.carried]
            xs += [self.mapping[s.inner] for s in self.steps]
            xs += [*self.local.values(), *(d.node.output for d in self.deferred)]
            found = self.reverse.gradients(ys, xs, [*g_states, *g_steps])
        inputs = [
            _Steps(inside, g, loop.out_axes[k], 1 - loop.out_directions[k])
            for (k, g), inside in zip(arriving, g_steps, strict=True)
        ]
        pairs = self._record(*self._backward_body(found, g_states, inputs), gs)
        scratch.release()
        return pairs

    def _copy_forward(self, trace: Trace) -> None:
        for value in self.loop.body.inputs:
            self.mapping[value] = self.scratch.add_input(value.name, value.type)
        for value in self.loop.body.constants:
            assert value.data is not None
            self.mapping[value] = trace.constant(value.data)
        for node in self.loop.body:
            self.copied[copy_node(node, self.scratch, self.mapping)] = node

    def _separate_weights(self) -> None:
        """Sort the uses of captured values: those to defer, and the rest, which get a stand-in."""
        inside = {self.scratch} | {sub for node in self.scratch.all_nodes() for sub in node.subgraphs}
        for weight in self.captured:
            uses = [(node, index) for node, index in weight.uses if node.graph in inside]
            waiting = [use for use in uses if use[0] in self.copied and _can_wait(*use)]
            self.deferred += [_Deferred(weight, *use) for use in waiting]
            rest = [use for use in uses if use not in waiting]
            if not rest:
                continue
            stand_in = Node("Identity", [weight], {})
            self.scratch.insert_before(self.scratch.first, stand_in, [weight.type])
            self.local[weight] = stand_in.output
            for node, index in rest:
                node.set_input(index, stand_in.output)

    def _backward_body(
        self, found: Sequence[Value], g_states: Sequence[Value], inputs: list[_Steps]
    ) -> tuple[Graph, list[_Steps], list[int]]:
        """Cut the gradient's nodes out of the scratch graph; what they need of the forward's become step inputs.

        Returns the body, its step inputs, and the place of each deferred use's gradient among the stacked outputs.
        """
        body = Graph(f"{self.loop.body.name}_gradient", parent=self.outer.graph)
        trace = Trace(body, outer=self.outer)
        mapping = {v: body.add_input("g_state", v.type) for v in g_states}
        totals = [body.add_input("g_total", weight.type) for weight in self.local]
        mapping.update((stand_in, weight) for weight, stand_in in self.local.items())
        steps = []
        for step in inputs:
            mapping[step.inner] = body.add_input("g_step", step.inner.type)
            steps.append(_Steps(mapping[step.inner], step.outer, step.axis, step.direction))
        nodes = self._gradient_nodes(found)
        sources = self._sources()
        for value in _read_from_outside(nodes, found):
            if value in mapping or value.graph is not self.scratch:
                continue
            if value.data is not None:
                mapping[value] = trace.constant(value.data)
                continue
            saved = self._saved(sources[value])
            saved.inner = mapping[value] = body.add_input("step", value.type)
            steps.append(saved)
        for node in nodes:
            copy_node(node, body, mapping)
        results = [mapping.get(v, v) for v in found]
        states, on_steps, parts, waiting = _cut(
            results, len(g_states), len(self.steps), len(totals), len(self.deferred)
        )
        # What is the gradient of a step input anyway need not be returned again.
        places = {
            v: k
            for k, (v, step) in enumerate(zip(on_steps, self.steps, strict=True))
            if step.axis == 0 and step.direction == 0
        }
        stacked = list(on_steps)
        for value in waiting:
            if value not in places:
                places[value] = len(stacked)
                stacked.append(value)
        with trace:
            sums = [raw.Add(total, part) for total, part in zip(totals, parts, strict=True)]
            taken: set[Value] = set()
            body.set_outputs([as_output(v, taken) for v in (*states, *sums, *stacked)])
        return body, steps, [places[v] for v in waiting]

    def _sources(self) -> dict[Value, Value]:
        """From values of the scratch graph to those of the body.

        Gradients of loops inside let them return more; the loops in the body must return the same.
        """
        sources = {v: k for k, v in self.mapping.items()}

        def visit(graph: Graph) -> None:
            for node in graph:
                if node.outputs[0] not in sources:
                    continue  # part of the gradient
                for sub in node.subgraphs:
                    visit(sub)
                original = sources[node.outputs[0]].producer
                assert original is not None
                for k in range(len(original.outputs), len(node.outputs)):
                    inner = node.attributes["body"].outputs[k + (1 if node.op == "Loop" else 0)]
                    while inner not in sources:  # an Identity that only returns the value
                        inner = inner.producer.inputs[0]
                    sources[node.outputs[k]] = add_scan_output(original, sources[inner])

        visit(self.scratch)
        return sources

    def _gradient_nodes(self, found: Sequence[Value]) -> list[Node]:
        """The nodes behind the forward part that the results need, in order."""
        wanted = list(found)
        needed: set[Node] = set()
        while wanted:
            node = wanted.pop().producer
            if node is None or node.graph is not self.scratch or node in needed or self._is_forward(node):
                continue
            needed.add(node)
            wanted.extend(_reads(node))
        return [node for node in self.scratch if node in needed]

    def _is_forward(self, node: Node) -> bool:
        return node in self.copied or any(node.outputs[0] is v for v in self.local.values())

    def _saved(self, value: Value) -> _Steps:
        """A value of the forward body as an input of the backward Scan."""
        for step in self.loop.steps:
            if step.inner is value:
                return _Steps(value, step.outer, step.axis, 1 - step.direction)
        return _Steps(value, add_scan_output(self.loop.node, value), 0, 1)

    def _record(self, body: Graph, inputs: list[_Steps], places: list[int], gs: Sequence[Value | None]) -> Pairs:
        loop = self.loop
        if not inputs:  # the number of steps must come from somewhere
            source = loop.steps[0].inner if loop.steps else loop.counters[0]
            inputs = [self._saved(source)]
            inputs[0].inner = body.add_input("step", source.type)
        hoist_invariants(body)
        inputs = _with_hoisted_steps(body, inputs)
        start = [gs[k] if gs[k] is not None else zeros_of(loop.init[k]) for k in self.carried]
        start += [zeros_of(weight) for weight in self.local]
        length = inputs[0].outer.shape[inputs[0].axis]
        counts = (len(self.carried), len(self.local), len(body.outputs) - len(self.carried) - len(self.local))
        emitted = body.outputs[sum(counts[:2]) + len(self.steps) :]
        types = [loop.init[k].type for k in self.carried] + [weight.type for weight in self.local]
        types += [s.outer.type for s in self.steps] + [v.type.with_shape((length, *v.shape)) for v in emitted]
        results = apply(
            "Scan",
            *start,
            *(s.outer for s in inputs),
            outputs=len(types),
            types=types,
            body=body,
            num_scan_inputs=len(inputs),
            **_unless_zero(
                scan_input_axes=[s.axis for s in inputs],
                scan_input_directions=[s.direction for s in inputs],
                scan_output_axes=[*(s.axis for s in self.steps), *(0 for _ in emitted)],
                scan_output_directions=[*(1 - s.direction for s in self.steps), *(1 for _ in emitted)],
            ),
        )
        states, weights, stacks = _cut([results] if len(types) == 1 else results, *counts)
        pairs: Pairs = [(loop.init[k], g) for k, g in zip(self.carried, states, strict=True)]
        pairs += list(zip(self.local, weights, strict=True))
        pairs += [(s.outer, g) for s, g in zip(self.steps, stacks[: len(self.steps)], strict=True)]
        return pairs + [
            (d.weight, self._weight_gradient(d, stacks[place])) for d, place in zip(self.deferred, places, strict=True)
        ]

    def _weight_gradient(self, deferred: _Deferred, g: Value) -> Any:
        """The operator's own rule, applied once to the tensors of all steps."""
        node = self.copied[deferred.node]
        rows = _merged if node.op in ("Gemm", "Conv") else _unchanged

        def stacked(k: int, value: Value | None) -> Value | None:
            if k == deferred.index:
                return deferred.weight
            if node.op in ("Add", "Sub") or value is None or value.graph is not self.loop.body or value.is_constant:
                return None
            return rows(self._in_order(value))

        entry = lookup(node.op)
        assert entry is not None and entry.vjp is not None
        inputs = [stacked(k, v) for k, v in enumerate(node.inputs)]
        result = entry.vjp(rows(g), None, *inputs, **rule_attributes(node))[deferred.index]
        return result() if callable(result) else result

    def _in_order(self, value: Value) -> Value:
        """A value of every step, stacked along axis 0 in the order of execution."""
        for step in self.loop.steps:
            if step.inner is value and step.axis == 0 and step.direction == 0:
                return step.outer
        return add_scan_output(self.loop.node, value)


def _can_wait(node: Node, index: int) -> bool:
    """Whether the gradient of this input is one product or sum over all steps' tensors."""
    weight = node.inputs[index]
    assert weight is not None and node.graph is not None

    def varies(value: Value | None) -> bool:
        return value is not None and value.graph is node.graph and not value.is_constant

    if node.op == "MatMul":
        return index == 1 and weight.ndim == 2 and varies(node.inputs[0])
    if node.op == "Gemm":
        plain = not node.attributes.get("transA", 0)
        return plain and varies(node.inputs[0]) and (index == 1 or (index == 2 and weight.ndim <= 1))
    if node.op == "Conv":
        return index in (1, 2) and varies(node.inputs[0])
    if node.op in ("Add", "Sub", "Mul"):
        return weight.ndim < node.output.ndim and (node.op != "Mul" or varies(node.inputs[1 - index]))
    return False


def _with_hoisted_steps(body: Graph, inputs: list[_Steps]) -> list[_Steps]:
    """Compute in front of the backward Scan what does not depend on its state."""
    plain = {s.inner: s.outer for s in inputs if s.axis == 0 and s.direction == 1}
    if not plain:
        return inputs
    others = {s.inner: s for s in inputs if s.inner not in plain}
    regroup_products(body, plain)
    found = hoist_steps(body, plain)
    return [
        _Steps(value, found[value], 0, 1) if value in found else others[value]
        for value in body.inputs
        if value in found or value in others
    ]


def _reads(node: Node) -> list[Value]:
    return [v for v in node.inputs if v is not None] + node.captures()


def _read_from_outside(nodes: Sequence[Node], found: Sequence[Value]) -> list[Value]:
    """What some nodes and the results read and the nodes do not make, each once."""
    made = {o for n in nodes for o in n.outputs}
    reads = [v for n in nodes for v in _reads(n)]
    return [v for v in dict.fromkeys([*reads, *found]) if v not in made]


def _cut(values: Sequence[Any], *lengths: int) -> list[list[Any]]:
    """Return the first values, the next ones, and so on."""
    rest = iter(values)
    return [[next(rest) for _ in range(length)] for length in lengths]


def _unless_zero(**attributes: list[int]) -> dict[str, Any]:
    """The attributes that differ from their default."""
    return {k: tuple(v) for k, v in attributes.items() if any(v)}


def _unchanged(stack: Value) -> Value:
    return stack


def _merged(stack: Value) -> Value:
    """Merge steps and batch into one axis."""
    tail = stack.shape[2:]
    if all(isinstance(d, int) for d in tail):
        target: Any = np.array([-1, *tail], np.int64)
    else:
        target = raw.Concat(np.array([-1], np.int64), raw.Shape(stack, start=2), axis=0)
    result: Value = raw.Reshape(stack, target)
    return result
