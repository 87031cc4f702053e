"""The small utilities; expected values were measured on Keras 3.15 where Keras has them."""

from __future__ import annotations

import random

import numpy as np
import pytest

import nngraph.utils as utils
from nngraph import config, preprocessing
from nngraph.utils import (
    Config,
    PyDataset,
    normalize,
    pack_x_y_sample_weight,
    pad_sequences,
    set_random_seed,
    split_dataset,
    standardize_dtype,
    timeseries_dataset_from_array,
    to_categorical,
    unpack_x_y_sample_weight,
)


def test_every_public_name_can_be_imported():
    assert {name for name in utils.__all__ if getattr(utils, name) is None} == set()
    assert set(utils.__all__) <= set(dir(utils))
    with pytest.raises(AttributeError, match=r"has no attribute 'to_categoricals'\. Did you mean 'to_categorical'\?"):
        _ = utils.to_categoricals
    assert preprocessing.sequence.pad_sequences is pad_sequences
    assert preprocessing.image.load_img is utils.load_img


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([0, 2], None, [[1, 0, 0], [0, 0, 1]]),
        ([[0], [1]], None, [[1, 0], [0, 1]]),
        ([[0, 1], [1, 0]], None, [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]),
        (2, 4, [0, 0, 1, 0]),
        ([0.0, 1.9], None, [[1, 0], [0, 1]]),
        ([True, False], None, [[0, 1], [1, 0]]),
        ([], 3, np.zeros((0, 3))),
        (np.zeros((2, 1, 1)), None, np.ones((2, 1, 1))),
    ],
)
def test_to_categorical(labels, classes, expected):
    result = to_categorical(labels, classes)
    np.testing.assert_array_equal(result, expected)
    assert result.shape == np.shape(expected) and result.dtype == "float64"


def test_normalize():
    np.testing.assert_array_equal(normalize(np.array([[3.0, 4], [0, 0]])), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(normalize([[1, 2]], order=1), [[1 / 3, 2 / 3]])
    # By the definition; Keras 3.15 divides rows here by the norms of columns.
    np.testing.assert_allclose(
        normalize(np.array([[1.0, 2], [3, 4]]), axis=0),
        [[0.31622776601683794, 0.4472135954999579], [0.9486832980505138, 0.8944271909999159]],
    )
    assert normalize(np.ones((2, 2), "float32")).dtype == normalize([[1, 2]]).dtype == "float32"
    assert normalize(np.array([3.0, 4.0])).shape == (1, 2)


@pytest.mark.parametrize(
    ("sequences", "options", "expected"),
    [
        ([[1], [2, 3], [4, 5, 6]], {}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        ([[1], [2, 3]], {"maxlen": 1}, [[1], [3]]),
        ([[1], [2, 3]], {"maxlen": 1, "truncating": "post"}, [[1], [2]]),
        ([[1], [2, 3]], {"padding": "post", "value": 9}, [[1, 9], [2, 3]]),
        ([[1]], {"maxlen": 0}, np.zeros((1, 0))),
        ([[[1, 2]], [[3, 4], [5, 6]]], {}, [[[0, 0], [1, 2]], [[3, 4], [5, 6]]]),
        ([[], [1]], {}, [[0], [1]]),
        ([[], [[1, 2]]], {}, [[[0, 0]], [[1, 2]]]),
        ([[1], []], {"maxlen": 2, "truncating": "post"}, [[0, 1], [0, 0]]),
        ([[1.7]], {}, [[1]]),
        ([[1, 2], [3]], {"value": 1.5}, [[1, 2], [1, 3]]),
        (np.array([[1, 2], [3, 4]]), {"maxlen": 3}, [[0, 1, 2], [0, 3, 4]]),
        ([], {"maxlen": 2}, np.zeros((0, 2))),
    ],
)
def test_pad_sequences(sequences, options, expected):
    result = pad_sequences(sequences, **options)
    np.testing.assert_array_equal(result, expected)
    assert result.shape == np.shape(expected) and result.dtype == "int32"


def test_pad_sequences_of_other_dtypes():
    assert pad_sequences([["a"], ["b", "c"]], dtype=object, value="z").tolist() == [["z", "a"], ["b", "c"]]
    assert pad_sequences([[1.5], [2, 3]], dtype="float32").tolist() == [[0, 1.5], [2, 3]]


def test_packing():
    assert pack_x_y_sample_weight(1) == 1
    assert pack_x_y_sample_weight([1, 2]) == ([1, 2],)
    assert pack_x_y_sample_weight(1, 2) == (1, 2)
    assert pack_x_y_sample_weight(1, 2, 3) == (1, 2, 3)
    for data, parts in (((1,), (1, None, None)), ((1, 2), (1, 2, None)), ([1, 2], (1, 2, None)), (5, (5, None, None))):
        assert unpack_x_y_sample_weight(data) == parts


def test_set_random_seed():
    set_random_seed(7)
    first = random.random(), np.random.rand(), config.global_seed()
    set_random_seed(np.int64(7))
    assert (random.random(), np.random.rand(), config.global_seed()) == first
    assert first[2] == 7
    for seed in (0, 2**32 - 1):
        set_random_seed(seed)
        assert config.global_seed() == seed


def test_standardize_dtype():
    assert standardize_dtype(None) == config.floatx()
    assert standardize_dtype(np.dtype("int8")) == "int8"


def test_split_arrays():
    x = np.arange(10)
    for options, sizes in (
        ({"left_size": 0.8}, (8, 2)),
        ({"right_size": 3}, (7, 3)),
        ({"left_size": 2, "right_size": 0.5}, (2, 5)),
    ):
        left, right = split_dataset(x, **options)
        assert (len(left), len(right)) == sizes
        np.testing.assert_array_equal(np.concatenate([left, right]), x[: sum(sizes)])
    (a, b), rest = split_dataset((x, {"y": x * 2}), left_size=0.5)
    np.testing.assert_array_equal(b["y"], a * 2)
    assert isinstance(rest, tuple)


def test_split_shuffled():
    left, right = split_dataset((np.arange(50), np.arange(50)), left_size=0.5, shuffle=True, seed=3)
    assert sorted([*left[0], *right[0]]) == list(range(50)) != [*left[0], *right[0]]
    np.testing.assert_array_equal(left[0], left[1])
    again, _ = split_dataset((np.arange(50), np.arange(50)), left_size=0.5, shuffle=True, seed=3)
    np.testing.assert_array_equal(left[0], again[0])


def test_split_iterables():
    class Batches(PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return index

    assert split_dataset(Batches(), left_size=0.5) == ([0, 1], [2, 3])
    assert split_dataset((index for index in "abc"), right_size=1) == (["a", "b"], ["c"])


def windows(*args, **kwargs):
    return [[np.asarray(part).tolist() for part in batch] for batch in timeseries_dataset_from_array(*args, **kwargs)]


def test_timeseries_by_definition():
    data = np.arange(100)
    dataset = timeseries_dataset_from_array(
        data, data * 10, sequence_length=10, sampling_rate=2, sequence_stride=3, batch_size=8
    )
    x = np.concatenate([batch[0] for batch in dataset])
    y = np.concatenate([batch[1] for batch in dataset])
    expected = [[start + 2 * step for step in range(10)] for start in range(0, 82, 3)]
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, x[:, 0] * 10)
    assert len(dataset) == 4


def test_timeseries_of_part_of_the_data():
    batches = windows(np.arange(10), None, sequence_length=3, start_index=4, end_index=8)
    assert batches == [[[[4, 5, 6], [5, 6, 7]]]]
    # Fewer targets than windows.
    assert windows(np.arange(10), np.arange(2), 3) == [[[[0, 1, 2], [1, 2, 3]], [0, 1]]]
    assert len(timeseries_dataset_from_array(np.arange(130), None, 1)[0][0]) == 128
    assert windows(np.arange(4).tolist(), None, 3, batch_size=None) == [[[0, 1, 2]], [[1, 2, 3]]]


def test_timeseries_shuffled():
    first = windows(np.arange(30), np.arange(30), 2, shuffle=True, seed=1)
    assert first == windows(np.arange(30), np.arange(30), 2, shuffle=True, seed=1)
    (x, y) = first[0]
    assert y != sorted(y) and sorted(y) == list(range(29)) and [row[0] for row in x] == y


def test_config_record():
    record = Config(width=8)
    record.depth = 2
    record["name"] = "n"
    record.update(extra=1)
    assert record.pop("extra") == 1 and record.get("extra", 5) == 5
    assert record.as_dict() == {"width": 8, "depth": 2, "name": "n"} == dict(record.items())
    assert record.to_json() == '{"width": 8, "depth": 2, "name": "n"}'
    assert (len(record), "width" in record, list(record)) == (3, True, list(record.keys()))
    assert list(record.values()) == [8, 2, "n"] and repr(record).startswith("<Config {'width': 8")
    del record.name
    record.freeze()
    for change in (lambda: record.update(a=1), lambda: setattr(record, "a", 1), lambda: record.pop("width")):
        with pytest.raises(ValueError, match="frozen"):
            change()
    assert record.frozen and not record.unfreeze().frozen
    with pytest.raises(AttributeError, match=r"no entry 'widht'\. Did you mean 'width'"):
        _ = record.widht


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: to_categorical([0, 3], 2), "2 classes (labels 0 to 1), but the largest label is 3"),
        (lambda: to_categorical([-1, 1]), "labels from 0 up. The smallest one is -1"),
        (lambda: to_categorical([]), "Give num_classes"),
        (lambda: to_categorical(["a"]), "integer labels. Received an array of dtype <U1"),
        (lambda: pad_sequences([1, 2]), "One of its items is 1"),
        (lambda: pad_sequences(5), "must be a list of sequences. Received: 5"),
        (lambda: pad_sequences([]), "Give maxlen"),
        (lambda: pad_sequences([[1]], padding="before"), "Unknown padding 'before'"),
        (lambda: pad_sequences([[1]], truncating="before"), "Unknown truncating"),
        (lambda: pad_sequences([["a"]], value="z"), "Use dtype=object for strings"),
        (
            lambda: pad_sequences([[[1, 2]], [[3], [5]]]),
            "Those of sequence 1 have shape (1,), those of the first have (2,)",
        ),
        (lambda: unpack_x_y_sample_weight((1, 2, 3, 4)), "gave a tuple of 4 items"),
        (lambda: set_random_seed(-1), "integer from 0 to 2**32 - 1. Received: -1"),
        (lambda: set_random_seed(2**32), "integer from 0 to 2**32 - 1"),
        (lambda: set_random_seed(True), "Received: True"),
        (lambda: set_random_seed("a"), "Received: 'a'"),
        (lambda: split_dataset(np.arange(4)), "Give left_size, right_size, or both"),
        (lambda: split_dataset(np.arange(4), left_size=1.5), "left_size as a fraction must be between 0 and 1"),
        (lambda: split_dataset(np.arange(4), right_size=4), "right_size as a number of rows must be between 0 and 4"),
        (lambda: split_dataset(np.arange(4), left_size="half"), "left_size must be an integer or a float"),
        (lambda: split_dataset(np.arange(4), left_size=3, right_size=3), "add up to 6 rows, but there are only 4"),
        (lambda: split_dataset(np.arange(4), left_size=0.1), "both parts need at least one"),
        (lambda: split_dataset(5, left_size=0.5), "Received type int"),
        (lambda: split_dataset((np.arange(4), np.arange(3)), left_size=1), "dataset[0] has 4, dataset[1] has 3"),
        (lambda: timeseries_dataset_from_array(np.arange(4), None, 0), "sequence_length must be an integer >= 1"),
        (lambda: timeseries_dataset_from_array(np.arange(4), None, 5), "no window of 5 steps"),
        (lambda: timeseries_dataset_from_array(np.arange(4), [], 2), "with 0 targets"),
        (
            lambda: timeseries_dataset_from_array(np.arange(4), None, 2, start_index=9),
            "start_index must be from 0 to 4",
        ),
        (
            lambda: timeseries_dataset_from_array(np.arange(4), None, 2, start_index=3, end_index=2),
            "start_index (3) must be smaller than end_index (2)",
        ),
        (lambda: timeseries_dataset_from_array(np.arange(4), None, 2)[7], "batch 7 of 1"),
    ],
)
def test_errors(call, message):
    with pytest.raises((ValueError, TypeError, IndexError)) as error:
        call()
    assert message in str(error.value)
