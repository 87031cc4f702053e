"""Adapters: the batches that each kind of data turns into, their order, and the errors."""

from __future__ import annotations

import threading
import time
import warnings

import numpy as np
import pandas as pd
import pytest

from nngraph import config
from nngraph.data import (
    ArrayAdapter,
    GeneratorAdapter,
    IterableAdapter,
    PyDataset,
    PyDatasetAdapter,
    Sequence,
    class_weight_to_sample_weights,
    make_adapter,
    train_validation_split,
)

N = 10
X = np.arange(N * 3, dtype="float32").reshape(N, 3)
Y = np.arange(N, dtype="float32")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows(adapter, *args) -> list[list[float]]:
    """The first column of x, batch by batch."""
    return [np.asarray(x).reshape(len(x), -1)[:, 0].tolist() for x, _, _ in adapter.epoch(*args)]


class Tensor:
    """Behaves as a torch tensor that tracks gradients: __array__ fails until it is detached."""

    def __init__(self, values, detached=False):
        self.values, self.detached, self.shape = np.asarray(values), detached, np.shape(values)

    def detach(self):
        return Tensor(self.values, detached=True)

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        if not self.detached:
            raise RuntimeError("call detach() first")
        return self.values


class Loader:
    """Behaves as a torch DataLoader: each iter() is a new pass and a batch is a list of tensors."""

    def __init__(self, passes=None):
        self.passes = [] if passes is None else passes

    def __iter__(self):
        self.passes.append(1)
        for start in range(0, N, 4):
            yield [Tensor(X[start : start + 4]), Tensor(Y[start : start + 4])]

    def __len__(self):
        return 3


class Batches(PyDataset):
    def __init__(self, count=4, log=None, **kwargs):
        super().__init__(**kwargs)
        self.count, self.log = count, [] if log is None else log

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return np.full((2, 1), index), np.full((2,), index)

    def on_epoch_begin(self):
        self.log.append("begin")

    def on_epoch_end(self):
        self.log.append("end")


# --------------------------------------------------------------------------- arrays


def test_array_batches_in_order():
    adapter = make_adapter(X, Y, batch_size=4)
    assert isinstance(adapter, ArrayAdapter)
    assert (adapter.num_batches, adapter.batch_size, adapter.num_samples) == (3, 4, N)
    batches = list(adapter.epoch())
    assert [x.shape for x, _, _ in batches] == [(4, 3), (4, 3), (2, 3)]
    assert all(weight is None for _, _, weight in batches)
    np.testing.assert_array_equal(np.concatenate([x for x, _, _ in batches]), X)
    np.testing.assert_array_equal(np.concatenate([y for _, y, _ in batches]), Y)


def test_default_batch_size_is_32():
    assert [len(x) for x, _, _ in make_adapter(np.zeros((70, 1))).epoch()] == [32, 32, 6]


def test_unshuffled_batches_are_views():
    x, _, _ = next(make_adapter(X, batch_size=4).epoch())
    assert np.shares_memory(x, X)


def test_shuffling_follows_the_generator_given():
    adapter = make_adapter(X, Y, batch_size=3, shuffle=True)
    first, again, other = rows(adapter, rng(1)), rows(adapter, rng(1)), rows(adapter, rng(2))
    assert first == again != other
    assert sorted(value for batch in first for value in batch) == X[:, 0].tolist()
    assert [len(batch) for batch in first] == [3, 3, 3, 1]
    for x, y, _ in adapter.epoch(rng(3)):
        np.testing.assert_array_equal(x[:, 0], y * 3)
    with pytest.raises(ValueError, match=r"adapter\.epoch\(rng\)"):
        list(adapter.epoch())


def test_batch_shuffling_stays_within_each_batch():
    adapter = make_adapter(np.arange(10), batch_size=4, shuffle="batch")
    batches = rows(adapter, rng())
    assert [sorted(batch) for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches != [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_steps_per_epoch_takes_the_first_batches_of_each_epoch():
    # As Keras: every epoch starts anew.
    adapter = make_adapter(X, batch_size=3, steps_per_epoch=2)
    assert adapter.num_batches == 2
    assert rows(adapter) == rows(adapter) == [[0, 3, 6], [9, 12, 15]]


def test_too_many_steps_per_epoch_warn():
    with pytest.warns(UserWarning, match="10 rows make only 4 batches of 3"):
        adapter = make_adapter(X, batch_size=3, steps_per_epoch=6)
    assert adapter.num_batches == len(rows(adapter)) == 4


def test_just_enough_steps_do_not_warn():
    # Warnings are errors in this suite.
    assert make_adapter(X, batch_size=3, steps_per_epoch=4).num_batches == 4
    assert make_adapter(X, batch_size=1, steps_per_epoch=1).num_batches == 1


def test_fast_path_equals_slow_path():
    weights = np.linspace(0, 1, N)
    adapter = make_adapter({"a": X, "b": [Y, None]}, (Y, X.T.copy().T), weights, batch_size=4, shuffle=True)
    assert all(array.flags.c_contiguous for array in adapter.flat_arrays())
    buffers = adapter.make_buffers()
    assert [buffer.shape for buffer in buffers] == [(4, 3), (4,), (4,), (4, 3), (4,)]
    indices = adapter.epoch_indices(rng(5))
    for step, (x, y, weight) in enumerate(adapter.epoch(rng(5))):
        part = indices[step * 4 :][:4]
        adapter.take_into(buffers, part)
        packed_x, packed_y, packed_weight = adapter.pack([buffer[: len(part)] for buffer in buffers])
        np.testing.assert_array_equal(packed_x["a"], x["a"])
        np.testing.assert_array_equal(packed_x["b"][0], x["b"][0])
        assert packed_x["b"][1] is None
        np.testing.assert_array_equal(packed_y[1], y[1])
        np.testing.assert_array_equal(packed_weight, weight)


def test_cast_converts_once():
    adapter = make_adapter(np.arange(6, dtype="uint8"), np.arange(6), batch_size=4)
    adapter.cast(["float32", None])
    assert [array.dtype for array in adapter.flat_arrays()] == ["float32", "int64"]
    assert next(adapter.epoch())[0].dtype == "float32"


def test_peek_costs_nothing():
    adapter = make_adapter(X, batch_size=4, shuffle=True)
    np.testing.assert_array_equal(adapter.peek()[0], X[:4])


@pytest.mark.parametrize(
    ("given", "expected"),
    [("float64", "float32"), ("float16", "float32"), ("int64", "int64"), ("uint8", "uint8"), ("bool", "bool")],
)
def test_floats_become_floatx(given, expected):
    assert make_adapter(np.ones(3, given)).peek()[0].dtype == expected


def test_float_dtype_can_be_chosen():
    assert make_adapter(np.ones(3), float_dtype="float64").peek()[0].dtype == "float64"
    config.set_floatx("float64")
    try:
        assert make_adapter(np.ones(3, "float32")).peek()[0].dtype == "float64"
    finally:
        config.set_floatx("float32")


def test_nests_of_arrays():
    adapter = make_adapter([X, {"b": Y}], {"out": Y}, batch_size=6)
    x, y, _ = next(adapter.epoch())
    assert x[0].shape == (6, 3) and x[1]["b"].shape == (6,) and y["out"].shape == (6,)


def test_pandas():
    # Keras turns a Series into a column.
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1, 2], "c": [True, False, True]})
    x, y, weight = make_adapter(frame, pd.Series([1, 2, 3]), pd.Series([1.0, 2, 3])).peek()
    np.testing.assert_array_equal(x, np.array([[1, 0.5, 1], [2, 1, 0], [3, 2, 1]], "float32"))
    assert x.dtype == "float32" and y.shape == (3, 1) and y.dtype == "int64" and weight.shape == (3,)
    missing = make_adapter(pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})).peek()[0]
    np.testing.assert_array_equal(missing, np.array([[1], [np.nan]], "float32"))


def test_tensors_of_others_are_detached():
    np.testing.assert_array_equal(make_adapter(Tensor(X), batch_size=4).peek()[0], X[:4])


# --------------------------------------------------------------------------- PyDataset


def test_pydataset_order_and_hooks():
    log = []
    adapter = make_adapter(Batches(4, log))
    assert isinstance(adapter, PyDatasetAdapter) and adapter.num_batches == 4 and adapter.batch_size is None
    assert rows(adapter) == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert log == ["begin", "end"]


def test_pydataset_peek_and_defaults():
    adapter = make_adapter(Batches(4))
    assert adapter.peek()[0].tolist() == [[0], [0]]
    dataset = PyDataset()
    assert (dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size) == (1, False, 10)
    assert (PyDataset.workers, PyDataset.max_queue_size) == (1, 10)
    assert len(rows(make_adapter(Batches(5, workers=2, max_queue_size=0)))) == 5


def test_pydataset_shuffles_batches():
    adapter = make_adapter(Batches(20), shuffle=True)
    first = [batch[0] for batch in rows(adapter, rng(1))]
    assert sorted(first) == list(range(20)) != first
    assert first == [batch[0] for batch in rows(adapter, rng(1))]


def test_pydataset_threads_keep_the_order():
    class Slow(Batches):
        threads = set()

        def __getitem__(self, index):
            self.threads.add(threading.current_thread().name)
            time.sleep(0.02 if index % 3 == 0 else 0)
            return super().__getitem__(index)

    dataset = Slow(12, workers=4, max_queue_size=4, use_multiprocessing=True)
    assert [batch[0] for batch in rows(make_adapter(dataset))] == list(range(12))
    assert len(dataset.threads) > 1
    assert not [t for t in threading.enumerate() if t.name.startswith("nngraph-data")]


def test_pydataset_threads_end_with_an_abandoned_epoch():
    epoch = make_adapter(Batches(100, workers=3)).epoch()
    next(epoch)
    epoch.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("nngraph-data")]


def test_pydataset_error_in_a_thread_arrives():
    class Broken(Batches):
        def __getitem__(self, index):
            raise KeyError("lost file")

    with pytest.raises(KeyError, match="lost file"):
        list(make_adapter(Broken(3, workers=2)).epoch())


def test_pydataset_length_may_change_between_epochs():
    class Shrinking(Batches):
        def on_epoch_end(self):
            self.count -= 1

    adapter = make_adapter(Shrinking(3))
    assert [len(rows(adapter)), len(rows(adapter)), adapter.num_batches] == [3, 2, 1]


def test_pydataset_steps_per_epoch():
    assert rows(make_adapter(Batches(4), steps_per_epoch=2)) == [[0, 0], [1, 1]]
    adapter = make_adapter(Batches(2), steps_per_epoch=3)
    with pytest.warns(UserWarning, match="ran out after 2 batches"):
        assert len(rows(adapter)) == 2


def test_pydataset_without_end():
    class Endless(PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return np.full((1, 1), index)

    assert rows(make_adapter(Endless(), steps_per_epoch=3)) == [[0], [1], [2]]
    with pytest.raises(ValueError, match="give steps_per_epoch"):
        make_adapter(Endless())


def test_pydataset_without_super_init():
    class Old(Sequence):
        def __init__(self):
            self.kept = 1

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return (np.full((1, 1), index),)

    assert rows(make_adapter(Old())) == [[0], [1]]
    assert len(list(Old())) == 2


# --------------------------------------------------------------------------- iterables and generators


def test_iterable_starts_anew_each_epoch():
    adapter = make_adapter(Loader())
    assert isinstance(adapter, IterableAdapter) and adapter.num_batches == 3
    assert rows(adapter) == rows(adapter) == [[0, 3, 6, 9], [12, 15, 18, 21], [24, 27]]


def test_iterable_peek_does_not_start_a_second_pass():
    passes = []
    adapter = make_adapter(Loader(passes))
    assert adapter.peek()[0].shape == adapter.peek()[0].shape == (4, 3)
    assert len(rows(adapter)) == 3
    assert len(passes) == 1


def test_iterable_without_length_learns_it():
    class Plain:
        def __iter__(self):
            return iter([X[:2], X[2:4]])

    adapter = make_adapter(Plain())
    assert adapter.num_batches is None
    assert len(rows(adapter)) == adapter.num_batches == 2
    limited = make_adapter(Plain(), steps_per_epoch=3)
    with pytest.warns(UserWarning, match="ran out after 2 batches"):
        rows(limited)


def test_generator_goes_on_where_it_stopped():
    def generate():
        for index in range(5):
            yield np.full((1, 1), index), np.full((1,), index)

    adapter = make_adapter(generate(), steps_per_epoch=2)
    assert isinstance(adapter, GeneratorAdapter) and adapter.num_batches == 2
    assert adapter.peek()[0].tolist() == adapter.peek()[0].tolist() == [[0]]
    assert rows(adapter) == [[0], [1]] and not adapter.exhausted
    assert rows(adapter) == [[2], [3]] and not adapter.exhausted
    with pytest.warns(UserWarning, match=r"steps_per_epoch \* epochs"):
        assert rows(adapter) == [[4]]
    assert adapter.exhausted


def test_generator_without_steps_ends_quietly_once():
    adapter = make_adapter(iter([X, X]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(rows(adapter)) == 2
    assert adapter.exhausted
    with pytest.warns(UserWarning, match="another epoch"):
        assert rows(adapter) == []


def test_batches_may_be_dicts_and_lists():
    adapter = make_adapter(iter([({"a": X}, Y, Y), [X, Y], {"a": X}]))
    (a, ya, wa), (b, yb, wb), (c, yc, wc) = adapter.epoch()
    assert a["a"].shape == b.shape == c["a"].shape == (N, 3)
    assert ya.shape == wa.shape == yb.shape == (N,) and wb is None and yc is None and wc is None


# --------------------------------------------------------------------------- weights


def test_class_weight_of_integer_and_one_hot_labels():
    # Expected values as in Keras: unmentioned classes weigh 1.
    labels = np.array([0, 1, 2, 1])
    weights = {1: 5.0, 0: 0.5}
    expected = np.array([0.5, 5, 1, 5], "float32")
    for y in (labels, labels[:, None], np.eye(3)[labels], labels.astype("float32")):
        result = class_weight_to_sample_weights(y, weights)
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == "float32"


def test_class_weight_multiplies_sample_weight():
    y = np.array([0, 1, 1])
    for shape in ((3,), (3, 1)):
        given = np.array([1.0, 2.0, 3.0]).reshape(shape)
        weight = make_adapter(X[:3], y, given, class_weight={1: 10}).peek()[2]
        np.testing.assert_array_equal(weight, np.array([1, 20, 30]).reshape(shape))


def test_class_weight_of_batches():
    adapter = make_adapter(iter([(X[:2], np.array([0, 1]))]), class_weight={1: 3})
    assert next(adapter.epoch())[2].tolist() == [1, 3]


# --------------------------------------------------------------------------- validation split


def test_validation_split_takes_the_end():
    train, validation = train_validation_split((X, {"y": Y}, None), 0.25)
    np.testing.assert_array_equal(train[0], X[:7])
    np.testing.assert_array_equal(validation[1]["y"], Y[7:])
    assert train[2] is None and validation[2] is None
    # floor(10 * 0.99) = 9 rows to train on.
    assert len(train_validation_split((X,), 0.01)[0][0]) == 9


# --------------------------------------------------------------------------- errors

RAGGED = np.empty(2, object)
RAGGED[:] = [[1, 2], [3]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_adapter(X, Y[:9]), "x has 10, y has 9"),
        (lambda: make_adapter({"a": X, "b": Y[:3]}, Y), "x['a'] has 10, x['b'] has 3, y has 10"),
        (lambda: make_adapter(X, Y, Y[:9]), "sample_weight has 9"),
        (lambda: make_adapter(np.ones((8, 100)), np.ones(100)), "x has shape (8, 100), with the rows on"),
        (lambda: make_adapter(X[:0], Y[:0]), "The data are empty: x has shape (0, 3)"),
        (lambda: make_adapter([]), "There are no data"),
        (lambda: make_adapter(None), "x is None"),
        (lambda: make_adapter(5), "Received: 5 of type int"),
        (lambda: make_adapter("data.csv"), "Received: 'data.csv' of type str"),
        (lambda: make_adapter(np.float32(3)), "x is a single number"),
        (lambda: make_adapter([1.0, 2.0]), "numpy.asarray(x)"),
        (lambda: make_adapter([[1, 2], [3, 4]]), "x is a Python list. Make it an array: numpy.asarray(x)"),
        (lambda: make_adapter([[1, 2], [3]]), "pad_sequences"),
        (lambda: make_adapter(X, [0, 1] * 5), "y is a Python list of values"),
        (lambda: make_adapter(RAGGED), "x holds rows of different lengths (dtype object)"),
        (lambda: make_adapter(np.array([1, 2.5], object)), "x.astype('float32')"),
        (lambda: make_adapter(np.array(["a", "b"])), "x holds strings"),
        (lambda: make_adapter(np.array(["a", "b"], object)), "x holds strings"),
        (lambda: make_adapter(np.array(["2020-01-01"], "datetime64[D]")), "x holds dates"),
        (lambda: make_adapter(np.ones(3, complex)), "x holds complex numbers"),
        (lambda: make_adapter(X, {"a": "text"}), "y['a'] must be an array"),
        (lambda: make_adapter(pd.DataFrame({"a": [1], "city": ["Oslo"]})), "columns that are not numbers: 'city'"),
        (lambda: make_adapter(X, Y, batch_size=0), "batch_size must be an integer >= 1"),
        (lambda: make_adapter(X, Y, batch_size=2.5), "batch_size must be an integer >= 1"),
        (lambda: make_adapter(X, Y, steps_per_epoch=-1), "steps_per_epoch must be an integer >= 1"),
        (lambda: make_adapter(X, Y, shuffle="batches"), "shuffle must be True, False or 'batch'"),
        (lambda: make_adapter(iter([X]), Y), "x is a generator, which yields (x, y, sample_weight) itself"),
        (lambda: make_adapter(Batches(), sample_weight=Y), "do not pass sample_weight beside it"),
        (lambda: make_adapter(Loader(), Y), "x is a Loader"),
        (lambda: make_adapter(Batches(0)), "Batches is empty"),
        (lambda: list(make_adapter(iter([])).epoch()), "The generator is empty"),
        (lambda: make_adapter(iter([])).peek(), "The generator is empty"),
        (lambda: list(make_adapter({1, 2} - {1, 2}).epoch()), "set is empty"),
        (lambda: list(make_adapter(iter([(X, Y, Y, Y)])).epoch()), "gave a tuple of 4 items"),
        (lambda: list(make_adapter(iter([(X, Y[:3])])).epoch()), "x has 10, y has 3"),
        (lambda: make_adapter(X, Y, class_weight=[1, 2]), "class_weight must be a dict"),
        (lambda: make_adapter(X, Y, class_weight={"cat": 1}), "Received the key 'cat'"),
        (lambda: make_adapter(X, Y, class_weight={-1: 1}), "Received the key -1"),
        (lambda: make_adapter(X, Y, class_weight={1: "much"}), "weight of class 1"),
        (lambda: make_adapter(X, np.eye(10), class_weight={10: 1}), "mentions class 10, but y is one-hot with 10"),
        (lambda: make_adapter(X, {"a": Y}, class_weight={1: 1}), "single array of labels"),
        (lambda: make_adapter(X, class_weight={1: 1}), "class_weight needs the labels y"),
        (lambda: make_adapter(X, Y, {"a": Y}, class_weight={1: 1}), "sample_weight must be a single array"),
        (lambda: train_validation_split((X,), 1.0), "validation_split must be between 0 and 1"),
        (lambda: train_validation_split((X[:1],), 0.5), "leaves 0 for training and 1 for validation"),
        (lambda: train_validation_split((X[:3],), 1e-17), "leaves 3 for training and 0 for validation"),
        (lambda: train_validation_split((iter([X]),), 0.5), "Received: list_iterator. Give the validation part as"),
        (lambda: PyDataset(workers=-1), "workers must be an integer >= 0"),
        (lambda: PyDataset()[0], "PyDataset must define __getitem__"),
        (lambda: PyDataset().num_batches, "PyDataset must define __len__"),
    ],
)
def test_errors_name_the_argument_and_the_remedy(call, message):
    with pytest.raises((ValueError, TypeError, NotImplementedError)) as error:
        call()
    assert message in str(error.value)
