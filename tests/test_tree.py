"""Nested structures; the expected values were measured on Keras 3.15."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

from nngraph import tree

Point = namedtuple("Point", "x y")

STRUCTURES = [
    5,
    None,
    [],
    {},
    [1, (2, 3), {"b": 4, "a": [5]}],
    Point([1], {"z": 2, "y": None}),
    OrderedDict([("b", 1), ("a", (2, 3))]),
    defaultdict(list, {"b": 1, "a": 2}),
    {2: "x", "a": "y"},
]


def test_flatten_sorts_dict_keys():
    assert tree.flatten({"b": 1, "a": [2, (3, None)]}) == [2, 3, None, 1]
    assert tree.flatten(OrderedDict([("b", 1), ("a", 2)])) == [1, 2]
    assert tree.flatten(None) == [None]
    assert tree.flatten([]) == []
    assert tree.flatten({2: 1, "a": 2}) == [1, 2]


def test_flatten_with_path():
    structure = {"b": 1, "a": [2, (3, Point(5, 6))]}
    assert tree.flatten_with_path(structure) == [
        (("a", 0), 2),
        (("a", 1, 0), 3),
        (("a", 1, 1, 0), 5),
        (("a", 1, 1, 1), 6),
        (("b",), 1),
    ]
    assert tree.flatten_with_path(7) == [((), 7)]


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_pack_is_the_inverse_of_flatten(structure):
    leaves = tree.flatten(structure)
    assert tree.pack_sequence_as(structure, leaves) == structure
    numbers = list(range(len(leaves)))
    packed = tree.pack_sequence_as(structure, numbers)
    assert type(packed) is (int if structure in (5, None) else type(structure))
    assert tree.flatten(packed) == numbers
    tree.assert_same_structure(structure, packed)


def test_packed_dicts_keep_their_order_and_type():
    assert list(tree.pack_sequence_as({"b": 0, "a": 0}, [1, 2]).items()) == [("b", 2), ("a", 1)]
    packed = tree.pack_sequence_as(defaultdict(list, {"b": 0}), [3])
    assert packed == {"b": 3} and packed["new"] == []


@pytest.mark.parametrize("leaves", [[1], [1, 2, 3]])
def test_pack_counts_leaves(leaves):
    with pytest.raises(ValueError, match=f"has 2 leaves, but {len(leaves)} were given"):
        tree.pack_sequence_as([0, 0], leaves)


def test_pack_needs_a_sequence():
    with pytest.raises(TypeError, match="sequence of leaves"):
        tree.pack_sequence_as([0], 7)


def test_map_structure():
    result = tree.map_structure(lambda x, y: (x, y), [1, {"b": 2, "a": None}], [3, {"a": 5, "b": 6}])
    assert result == [(1, 3), {"b": (2, 6), "a": (None, 5)}]
    assert tree.map_structure(lambda x: 7, [None, 1]) == [7, 7]
    assert tree.map_structure(lambda x: 7, [None, 1], none_is_leaf=False) == [None, 7]
    assert tree.map_structure(abs, Point(-1, -2)) == Point(1, 2)


def test_map_structure_refuses():
    with pytest.raises(TypeError, match="callable"):
        tree.map_structure(3, [1])
    with pytest.raises(ValueError, match="at least one structure"):
        tree.map_structure(abs)
    with pytest.raises(ValueError, match="1 items and the second 2"):
        tree.map_structure(max, [1], [1, 2])


@pytest.mark.parametrize("structure", [[], {}, (1,), [None]])
def test_is_nested(structure):
    assert tree.is_nested(structure)


@pytest.mark.parametrize("leaf", [1, None, "abc", np.ones(3), range(3), {1}])
def test_is_leaf(leaf):
    assert not tree.is_nested(leaf)


@pytest.mark.parametrize(
    ("a", "b", "where"),
    [
        ([1], (1,), "at the root, the first has a list and the second a tuple"),
        ({"a": 1}, {"b": 1}, "keys ['a']"),
        ([0, [1]], [0, 1], "at [1], the first has a list and the second a leaf"),
        ({"k": [1]}, {"k": [[1]]}, "at ['k'][0], the first has a leaf and the second a list"),
        ([1, 2], [1], "2 items and the second 1"),
        (Point(1, 2), (1, 2), "a Point and the second a tuple"),
    ],
)
def test_differences_say_where(a, b, where):
    with pytest.raises(ValueError) as error:
        tree.assert_same_structure(a, b)
    assert where in str(error.value)


def test_same_structures():
    tree.assert_same_structure([None], [1])
    tree.assert_same_structure({"a": 1}, OrderedDict(a=2), check_types=True)


def test_same_paths():
    tree.assert_same_paths([1, (2,)], (3, [4]))
    with pytest.raises(ValueError, match=r"Only in the first: \['\(1,\)'\]; only in the second: \[\]"):
        tree.assert_same_paths([1, 2], (1,))
    with pytest.raises(ValueError, match="different paths"):
        tree.assert_same_paths(Point(1, 2), {"x": 1, "y": 2})


def test_lists_to_tuples():
    assert tree.lists_to_tuples([1, [2, {"a": [3]}], Point([1], 2)]) == (1, (2, {"a": (3,)}), Point((1,), 2))


def test_map_structure_up_to():
    result = tree.map_structure_up_to([1, {"a": 2}], lambda a, b: (a, b), [1, {"a": [3, 4]}], [5, {"a": {"z": 3}}])
    assert result == [(1, 5), {"a": ([3, 4], {"z": 3})}]
    for bad in ([1], (1, 2), 3):
        with pytest.raises(ValueError, match="does not extend"):
            tree.map_structure_up_to([1, 2], abs, bad)
    with pytest.raises(ValueError, match="at least one"):
        tree.map_structure_up_to([1], abs)


def test_traverse():
    def tuples(node):
        return tuple(node) if isinstance(node, list) else None

    structure = [1, [2, 3], {"a": [4]}]
    assert tree.traverse(tuples, structure) == (1, [2, 3], {"a": [4]})
    assert tree.traverse(tuples, structure, top_down=False) == (1, (2, 3), {"a": (4,)})
    assert tree.traverse(lambda node: None, structure) == structure
    for top_down in (True, False):
        result = tree.traverse(lambda x: tree.MAP_TO_NONE if x == 2 else None, [1, [2, 3]], top_down)
        assert result == [1, [None, 3]]


def test_map_shape_structure():
    shapes = {"a": (1, None), "b": [(2, 3), (4,)], "c": [None, 3]}
    assert tree.map_shape_structure(tuple, shapes) == {"a": (1, None), "b": [(2, 3), (4,)], "c": (None, 3)}
    assert tree.map_shape_structure(len, [(None, 3), (3,)]) == [2, 1]
    assert tree.map_shape_structure(lambda shape: shape, ()) == ()
    assert tree.map_shape_structure(lambda shape: shape, None) is None
    with pytest.raises(ValueError, match="Expected shapes"):
        tree.map_shape_structure(len, [(1, 2), "abc"])
