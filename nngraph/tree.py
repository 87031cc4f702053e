"""Nested structures of lists, tuples, named tuples and dicts: flatten them, rebuild them, map over them.

A *leaf* is anything else; None and strings are leaves too. Dict entries are visited in the order of their sorted keys
(``OrderedDict`` keeps its own order), so two dicts with equal keys always line up. A rebuilt dict keeps the key order
and the type of the original.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


class MAP_TO_NONE:
    """What the function given to ``traverse`` returns to put None into the result."""


def is_nested(structure: Any) -> bool:
    """Return whether ``structure`` is a list, tuple, named tuple or dict (also an empty one).

    >>> is_nested([]), is_nested({"a": 1}), is_nested("text"), is_nested(None)
    (True, True, False, False)
    """
    return isinstance(structure, (list, tuple, dict))


def flatten(structure: Any) -> list[Any]:
    """Return the leaves in order.

    >>> flatten({"b": 1, "a": [2, (3, None)]})
    [2, 3, None, 1]
    """
    if not is_nested(structure):
        return [structure]
    leaves: list[Any] = []
    for child in _children(structure):
        if is_nested(child):
            leaves.extend(flatten(child))
        else:
            leaves.append(child)
    return leaves


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return ``(path, leaf)`` pairs in order; a path is the keys and indices from the root to the leaf.

    >>> flatten_with_path({"b": 1, "a": [2, 3]})
    [(('a', 0), 2), (('a', 1), 3), (('b',), 1)]
    """
    if not is_nested(structure):
        return [((), structure)]
    return [
        ((key, *path), leaf)
        for key, child in zip(_keys(structure), _children(structure), strict=True)
        for path, leaf in flatten_with_path(child)
    ]


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """Return ``flat_sequence`` in the shape of ``structure``; the inverse of ``flatten``.

    Raises:
        TypeError: ``flat_sequence`` cannot be iterated.
        ValueError: the number of items differs from the number of leaves.

    >>> pack_sequence_as({"b": 0, "a": [0, 0]}, [1, 2, 3])
    {'b': 3, 'a': [1, 2]}
    """
    if not isinstance(flat_sequence, Iterable):
        raise TypeError(f"flat_sequence must be a sequence of leaves. Received: {flat_sequence!r}")
    leaves = list(flat_sequence)
    expected = len(flatten(structure))
    if expected != len(leaves):
        raise ValueError(f"The structure has {expected} leaves, but {len(leaves)} were given to fill it.")
    return _pack(structure, iter(leaves))


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """Return the structure of the results of ``func`` on corresponding leaves of ``structures``.

    With ``none_is_leaf=False`` a None stays None and ``func`` does not see it.

    Raises:
        TypeError: ``func`` is not callable.
        ValueError: no structure was given, or the structures differ; the message says where.

    >>> map_structure(lambda x, y: x + y, [1, {"a": 2}], [10, {"a": 20}])
    [11, {'a': 22}]
    """
    if not callable(func):
        raise TypeError(f"func must be callable. Received: {func!r}")
    if not structures:
        raise ValueError("map_structure needs at least one structure.")
    first = structures[0]
    for other in structures[1:]:
        assert_same_structure(first, other)
    return _map(func, structures, none_is_leaf)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Map as ``map_structure`` does, but take for leaves whatever stands where ``shallow_structure`` has its leaves.

    >>> map_structure_up_to([0, 0], len, [(1, 2), {"a": 3}])
    [2, 1]
    """
    if not structures:
        raise ValueError("map_structure_up_to needs at least one structure.")
    for structure in structures:
        difference = _difference(shallow_structure, structure, (), shallow=True)
        if difference is not None:
            raise ValueError(f"The structure does not extend the shallow structure: {difference}.")
    rows = zip(*(_leaves_up_to(shallow_structure, structure) for structure in structures), strict=True)
    return _pack(shallow_structure, iter([func(*row) for row in rows]))


def assert_same_structure(a: Any, b: Any, check_types: bool | None = None) -> None:
    """Raise ValueError, saying where, unless ``a`` and ``b`` nest in the same way.

    A list never equals a tuple; dicts compare by their keys, whatever kind of dict they are. ``check_types`` is
    accepted for Keras code and ignored.

    >>> assert_same_structure([1, {"a": 2}], [3, {"b": 4}])
    Traceback (most recent call last):
        ...
    ValueError: The structures differ: at [1], the first has the keys ['a'] and the second has the keys ['b'].
    """
    difference = _difference(a, b, (), shallow=False)
    if difference is not None:
        raise ValueError(f"The structures differ: {difference}.")


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ValueError unless the leaves of ``a`` and ``b`` have the same paths; a list may equal a tuple here.

    >>> assert_same_paths([1, 2], (3, 4))
    """
    paths_a = {path for path, _ in flatten_with_path(a)}
    paths_b = {path for path, _ in flatten_with_path(b)}
    if paths_a == paths_b:
        return
    only_a = sorted(map(str, paths_a - paths_b))
    only_b = sorted(map(str, paths_b - paths_a))
    raise ValueError(f"The structures have different paths. Only in the first: {only_a}; only in the second: {only_b}.")


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Return a copy of ``structure`` in which ``func`` has replaced the nodes it wanted to.

    ``func`` gets every node, inner ones too. None from it means "go on", ``MAP_TO_NONE`` means "put None here",
    anything else replaces the node. With ``top_down`` a node is seen before its children, and a replaced node is not
    entered; else children come first.

    >>> traverse(lambda x: tuple(x) if isinstance(x, list) else None, [1, [2, 3]], top_down=False)
    (1, (2, 3))
    """
    if top_down:
        result = func(structure)
        if result is not None:
            return None if result is MAP_TO_NONE else result
    if is_nested(structure):
        structure = _rebuild(structure, [traverse(func, child, top_down) for child in _children(structure)])
    if top_down:
        return structure
    result = func(structure)
    if result is None:
        return structure
    return None if result is MAP_TO_NONE else result


def lists_to_tuples(structure: Any) -> Any:
    """Return the structure with every list made a tuple.

    >>> lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    return traverse(lambda node: tuple(node) if isinstance(node, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """Map as ``map_structure`` does, where lists and tuples of integers and None are leaves: the shapes.

    >>> map_shape_structure(len, {"a": (None, 3), "b": [(2,), (4, 5, 6)]})
    {'a': 2, 'b': [1, 3]}
    """
    if structure is None or _is_shape(structure):
        return func(structure)
    if not is_nested(structure):
        raise ValueError(f"Expected shapes (lists or tuples of integers and None). Received: {structure!r}")
    return _rebuild(structure, [map_shape_structure(func, child) for child in _children(structure)])


def _is_shape(node: Any) -> bool:
    return isinstance(node, (list, tuple)) and all(item is None or isinstance(item, int) for item in node)


def _keys(node: Any) -> list[Any]:
    if not isinstance(node, dict):
        return list(range(len(node)))
    if isinstance(node, OrderedDict):
        return list(node)
    try:
        return sorted(node)
    except TypeError:
        # Keys of several types have no order of their own; any order that depends on the keys alone will do.
        return sorted(node, key=lambda key: (type(key).__qualname__, str(key)))


def _children(node: Any) -> Sequence[Any]:
    if isinstance(node, dict):
        return [node[key] for key in _keys(node)]
    return node


def _rebuild(node: Any, children: Sequence[Any]) -> Any:
    """Return a node like ``node`` whose children, in visiting order, are ``children``."""
    if isinstance(node, dict):
        by_key = dict(zip(_keys(node), children, strict=True))
        items = [(key, by_key[key]) for key in node]
        if isinstance(node, defaultdict):
            return type(node)(node.default_factory, items)
        return type(node)(items)
    if hasattr(node, "_fields"):
        return type(node)(*children)
    return type(node)(children)


def _pack(structure: Any, leaves: Any) -> Any:
    if not is_nested(structure):
        return next(leaves)
    return _rebuild(structure, [_pack(child, leaves) for child in _children(structure)])


def _map(func: Callable[..., Any], nodes: tuple[Any, ...], none_is_leaf: bool) -> Any:
    first = nodes[0]
    if not is_nested(first):
        return None if first is None and not none_is_leaf else func(*nodes)
    rows = zip(*(_children(node) for node in nodes), strict=True)
    return _rebuild(first, [_map(func, row, none_is_leaf) for row in rows])


def _leaves_up_to(shallow: Any, structure: Any) -> list[Any]:
    if not is_nested(shallow):
        return [structure]
    leaves = []
    for shallow_child, child in zip(_children(shallow), _children(structure), strict=True):
        leaves.extend(_leaves_up_to(shallow_child, child))
    return leaves


def _difference(a: Any, b: Any, path: tuple[Any, ...], *, shallow: bool) -> str | None:
    """Describe the first place where ``b`` nests otherwise than ``a`` (a shallow ``a``: not below its leaves)."""
    if not is_nested(a):
        if shallow or not is_nested(b):
            return None
        return f"at {_at(path)}, the first has a leaf and the second a {type(b).__name__}"
    if not is_nested(b):
        return f"at {_at(path)}, the first has a {type(a).__name__} and the second a leaf"
    if isinstance(a, dict) and isinstance(b, dict):
        if set(a) != set(b):
            return f"at {_at(path)}, the first has the keys {_keys(a)} and the second has the keys {_keys(b)}"
        pairs = [(key, a[key], b[key]) for key in _keys(a)]
    elif type(a) is not type(b):
        return f"at {_at(path)}, the first has a {type(a).__name__} and the second a {type(b).__name__}"
    elif len(a) != len(b):
        return f"at {_at(path)}, the first has {len(a)} items and the second {len(b)}"
    else:
        pairs = [(index, *pair) for index, pair in enumerate(zip(a, b, strict=True))]
    for key, child_a, child_b in pairs:
        found = _difference(child_a, child_b, (*path, key), shallow=shallow)
        if found is not None:
            return found
    return None


def _at(path: tuple[Any, ...]) -> str:
    return "".join(f"[{key!r}]" for key in path) or "the root"
