"""Values that a loop's body takes from around it keep one name in a file."""

from __future__ import annotations

import numpy as np

from nngraph import ops
from nngraph.ir import TensorType
from nngraph.ops.trace import trace_graph
from nngraph.runtime import Session
from nngraph.serde import from_proto, to_proto


def test_a_captured_output_is_known_to_the_body_by_its_output_name() -> None:
    def doubled_thrice(x):
        twice = x + x
        return twice, ops.fori_loop(0, 3, lambda i, total: total + twice, x)

    graph, trace, results = trace_graph(doubled_thrice, [TensorType("float32", (2,))], ["x"])
    with trace:
        graph.set_outputs(list(results), ["twice", "total"])
    for g in (graph, from_proto(to_proto(graph))):
        found = Session(g, "cpu").run({"x": np.float32([1, 2])})
        assert found["total"].tolist() == [7.0, 14.0]
        assert found["twice"].tolist() == [2.0, 4.0]
