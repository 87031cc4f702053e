"""How large the values of a graph are, once their types are known."""

from __future__ import annotations

from nngraph import config
from nngraph.ir import Graph, OpaqueType
from nngraph.serde.limits.common import check_total
from nngraph.serde.limits.tensors import bits_of

__all__ = ["check_sizes"]


def check_sizes(graph: Graph) -> None:
    """Refuse a graph in which one value takes more memory than one may (``NNGRAPH_MAX_TENSOR_GIB``).

    Sizes that are known only at run time count as 1.

    Raises:
        ValueError: a value does; the node that computes it is named.

    Example:
        >>> from nngraph.ir import Node, TensorType
        >>> g = Graph("g"); x = g.add_input("x", TensorType("float32", (2**20, 1)))
        >>> y = g.append(Node("Add", [x, x], {}, name="outer"), [TensorType("float32", (2**20, 2**20))])
        >>> check_sizes(g)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: the result 'outer' of node 'outer' (Add), float32[1048576, 1048576], takes 4096.0 GiB, ...
    """
    limit = config.max_tensor_bytes()
    for node in graph.all_nodes():
        for value in node.outputs:
            if isinstance(value.type, OpaqueType):
                continue
            count = 1
            for dim in value.shape:
                count *= dim if isinstance(dim, int) else 1
            bytes_ = count * bits_of(value.dtype) // 8
            if bytes_ > limit:
                check_total(bytes_, f"the result {value.name!r} of node {node.name!r} ({node.op}), {value.type},")
