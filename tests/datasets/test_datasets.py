"""The data sets, on small files of the same format that the tests make; orders were measured on Keras 3.15."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import struct
import tarfile
import urllib.error
import urllib.request

import numpy as np
import pytest

from nngraph import config, datasets
from nngraph.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)
from nngraph.datasets.pickles import read_pickle

REVIEWS = {
    "x_train": [
        [1, 4, 28, 4, 8, 10],
        [22, 19, 5, 24],
        [25, 25, 13, 27, 2, 7, 8],
        [15, 25, 18, 6, 26, 14, 9, 10],
        [20, 17, 20, 6, 16],
        [19],
        [25, 18, 20, 20],
        [15, 8, 1, 2],
    ],
    "y_train": [0, 1, 0, 1, 0, 1, 0, 1],
    "x_test": [
        [26, 1, 11, 21, 24, 4, 12, 19, 24, 29],
        [1, 1, 5],
        [6, 7, 9, 21, 18, 16],
        [10, 11, 27, 25, 2],
        [8, 10],
    ],
    "y_test": [0, 1, 0, 1, 1],
}
NEWSWIRES = [
    [4, 7, 24, 12, 15, 19, 28, 1, 15, 4],
    [13, 26, 11, 21, 12, 5],
    [5, 16, 21, 4, 13, 5, 21],
    [15, 16, 21, 4, 27, 24, 16, 14, 22],
    [17, 18, 6, 10, 4, 1],
    [1, 18, 19, 5, 3, 17],
    [3, 11, 14, 17],
    [22, 10, 1, 11, 19, 12, 27, 24],
    [26, 3, 4],
    [19, 15, 4, 21],
]
# The order into which seed 113 puts ten rows.
ORDER = [9, 3, 6, 1, 0, 7, 4, 8, 2, 5]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache of its own, and no network."""

    def refuse(request, **kwargs):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setenv("NNGRAPH_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    (tmp_path / "datasets" / "fashion-mnist").mkdir(parents=True)
    return tmp_path / "datasets"


def objects(texts):
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def sign(monkeypatch, module, path, name="_HASH"):
    """Let the module expect the file that the test has made."""
    monkeypatch.setattr(module, name, hashlib.sha256(path.read_bytes()).hexdigest())


def members(path, **batches):
    with tarfile.open(path, "w:gz") as archive:
        for name, batch in batches.items():
            data = batch if isinstance(batch, bytes) else pickle.dumps(batch, 2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def idx(values, magic):
    values = np.asarray(values, "uint8")
    return gzip.compress(struct.pack(f">i{values.ndim}i", magic, *values.shape) + values.tobytes())


# --------------------------------------------------------------------------- images


def test_mnist(home, monkeypatch):
    arrays = {name: np.arange(8, dtype="uint8").reshape(2, 4) for name in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(home / "mnist.npz", **arrays)
    sign(monkeypatch, mnist, home / "mnist.npz")
    (x, y), (x_test, y_test) = mnist.load_data()
    for array in (x, y, x_test, y_test):
        np.testing.assert_array_equal(array, arrays["x_train"])
        assert array.dtype == "uint8"


def test_fashion_mnist(home):
    directory = home / "fashion-mnist"
    images = np.arange(24).reshape(2, 3, 4)
    for part in ("train", "t10k"):
        (directory / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images, 2051))
        (directory / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx([3, 9], 2049))
    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(x_test, images)
    assert y.tolist() == y_test.tolist() == [3, 9] and x.dtype == y.dtype == "uint8" and x.flags.writeable
    (directory / "t10k-labels-idx1-ubyte.gz").write_bytes(idx([3, 9], 2049)[:-9])
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz is incomplete"):
        fashion_mnist.load_data()
    (directory / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"hello"))
    with pytest.raises(ValueError, match="is not the expected IDX file"):
        fashion_mnist.load_data()


def cifar_batch(first, count=2, **labels):
    return {
        "data": np.arange(first, first + count * 3072, dtype="int64").astype("uint8").reshape(count, 3072),
        **labels,
    }


def test_cifar10(home, monkeypatch):
    path = home / "cifar-10-python.tar.gz"
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    batches = {f"cifar-10-batches-py/{name}": cifar_batch(i, labels=[i, 9]) for i, name in enumerate(names)}
    members(path, **batches)
    sign(monkeypatch, cifar10, path)
    (x, y), (x_test, y_test) = cifar10.load_data()
    assert x.shape == (10, 32, 32, 3) and x_test.shape == (2, 32, 32, 3)
    assert y.tolist() == [[0], [9], [1], [9], [2], [9], [3], [9], [4], [9]] and y_test.tolist() == [[5], [9]]
    assert {array.dtype.name for array in (x, y, x_test, y_test)} == {"uint8"}
    flat = batches["cifar-10-batches-py/data_batch_2"]["data"][1]
    # Row-major planes: all of red, then green, then blue.
    assert x[3, 5, 7].tolist() == [int(flat[plane * 1024 + 5 * 32 + 7]) for plane in range(3)]
    config.set_image_data_format("channels_first")
    try:
        np.testing.assert_array_equal(cifar10.load_data()[0][0], x.transpose(0, 3, 1, 2))
    finally:
        config.set_image_data_format("channels_last")


def test_cifar100(home, monkeypatch):
    path = home / "cifar-100-python.tar.gz"
    batch = cifar_batch(0, fine_labels=[7, 99], coarse_labels=[1, 19])
    members(path, **{"cifar-100-python/train": batch, "cifar-100-python/test": batch})
    sign(monkeypatch, cifar100, path)
    assert cifar100.load_data()[0][1].tolist() == [[7], [99]]
    assert cifar100.load_data("coarse")[1][1].tolist() == [[1], [19]]
    assert cifar100.load_data()[0][1].dtype == "int64"


# --------------------------------------------------------------------------- numbers


def test_boston_housing(home, monkeypatch):
    path = home / "boston_housing.npz"
    np.savez(path, x=np.arange(20.0).reshape(10, 2), y=np.arange(10.0))
    sign(monkeypatch, boston_housing, path)
    (x, y), (_, y_test) = boston_housing.load_data()
    assert y.tolist() == ORDER[:8] and y_test.tolist() == ORDER[8:]
    np.testing.assert_array_equal(x[:, 0], y * 2)
    assert len(boston_housing.load_data(test_split=0)[1][0]) == 0
    assert boston_housing.load_data(seed=1)[0][1].tolist() != ORDER[:8]


def test_california_housing(home, monkeypatch):
    path = home / "california_housing.npz"
    np.savez(path, x=np.arange(700, dtype="float32")[:, None], y=np.arange(700))
    sign(monkeypatch, california_housing, path)
    (x, y), (_, y_test) = california_housing.load_data()
    assert (len(y), len(y_test)) == (560, 140)
    np.testing.assert_array_equal(x[:, 0], y)
    (_, y), (_, y_test) = california_housing.load_data("small")
    assert sorted([*y, *y_test]) == list(range(600)) and len(y) == 480


# --------------------------------------------------------------------------- words


@pytest.fixture
def reviews(home, monkeypatch):
    path = home / "imdb.npz"
    np.savez(path, **{k: objects(v) if k.startswith("x") else np.array(v) for k, v in REVIEWS.items()})
    sign(monkeypatch, imdb, path)
    return path


@pytest.fixture
def newswires(home, monkeypatch):
    path = home / "reuters.npz"
    np.savez(path, x=objects(NEWSWIRES), y=np.arange(10))
    sign(monkeypatch, reuters, path)
    return path


def test_imdb(reviews):
    (x, y), (x_test, y_test) = imdb.load_data()
    assert x.tolist() == [
        [1, 25, 22, 8, 27],
        [1, 18, 28, 21, 9, 29, 17, 12, 13],
        [1, 28, 21, 23, 23],
        [1, 4, 7, 31, 7, 11, 13],
        [1, 18, 11, 4, 5],
        [1, 28, 28, 16, 30, 5, 10, 11],
        [1, 23, 20, 23, 9, 19],
        [1, 22],
    ]
    assert y.tolist() == [1, 1, 0, 0, 1, 0, 0, 1] and y.dtype == "int64" and x.shape == (8,)
    # The largest number of all counts as out of vocabulary.
    assert x_test.tolist()[-1] == [1, 29, 4, 14, 24, 27, 7, 15, 22, 27, 2]
    assert y_test.tolist() == [0, 1, 1, 1, 0]


def test_imdb_options(reviews):
    (x, _), (x_test, _) = imdb.load_data(num_words=15, skip_top=5, oov_char=None)
    assert x.tolist() == [[8], [9, 12, 13], [], [7, 7, 11, 13], [11, 5], [5, 10, 11], [9], []]
    assert x_test.tolist() == [[9, 10, 12], [13, 14, 5], [11, 13], [8], [14, 7]]
    (x, y), (x_test, _) = imdb.load_data(maxlen=9)
    assert len(x) == 7 and x.tolist()[2] == [1, 4, 7, 2, 7, 11, 13] and y.tolist() == [1, 0, 0, 1, 0, 0, 1]
    assert len(x_test) == 4
    (x, _), (x_test, _) = imdb.load_data(start_char=None, index_from=0, seed=5)
    assert x.tolist()[:2] == [[15, 8, 1, 2], [25, 25, 13, 27, 2, 7, 8]] and x_test.tolist()[:2] == [[1, 1, 5], [8, 10]]
    np.testing.assert_array_equal(imdb.load_data(nb_words=10)[0][0], imdb.load_data(num_words=10)[0][0])


def test_reuters(newswires):
    (x, y), (x_test, y_test) = reuters.load_data()
    assert x.tolist()[0] == [1, 22, 18, 7, 24] and x.tolist()[4] == [1, 7, 10, 27, 15, 18, 22, 2, 4, 18, 7]
    assert x_test.tolist() == [[1, 8, 19, 24, 7, 16, 8, 24], [1, 4, 21, 22, 8, 6, 20]]
    assert [*y, *y_test] == ORDER
    (_, y), (x_test, y_test) = reuters.load_data(maxlen=9, seed=3)
    assert y.tolist() == [5, 4, 1, 2, 9] and y_test.tolist() == [6, 8]
    assert x_test.tolist() == [[1, 6, 14, 17, 20], [1, 2, 6, 7]]
    assert len(reuters.load_data(test_split=0.5)[0][0]) == 5
    assert len(reuters.get_label_names()) == len(set(reuters.get_label_names())) == 46


@pytest.mark.parametrize("module", [imdb, reuters])
def test_word_index(home, monkeypatch, module):
    path = home / f"{module.__name__.rpartition('.')[2]}_word_index.json"
    path.write_text(json.dumps({"the": 1}))
    sign(monkeypatch, module, path, "_WORDS_HASH")
    assert module.get_word_index() == {"the": 1}


# --------------------------------------------------------------------------- places


FILES = {
    "mnist": "mnist.npz",
    "fashion_mnist": "train-labels-idx1-ubyte.gz",
    "cifar10": "cifar-10-python.tar.gz",
    "cifar100": "cifar-100-python.tar.gz",
    "imdb": "imdb.npz",
    "reuters": "reuters.npz",
    "boston_housing": "boston_housing.npz",
    "california_housing": "california_housing.npz",
}


def test_every_data_set_is_covered():
    assert set(FILES) == set(datasets.__all__)


@pytest.mark.parametrize("name", FILES)
def test_without_network_the_error_says_which_file_to_put_where(home, name):
    directory = home / "fashion-mnist" if name == "fashion_mnist" else home
    with pytest.raises(FileNotFoundError) as error:
        getattr(datasets, name).load_data()
    message = str(error.value)
    assert f"put it into {directory} as {FILES[name]}" in message
    assert f"/{FILES[name]} (no network in tests)" in message and "https://" in message


@pytest.mark.parametrize("name", [name for name in FILES if name != "fashion_mnist"])
def test_a_wrong_file_put_there_by_hand_is_named(home, name):
    (home / FILES[name]).write_bytes(b"something else")
    with pytest.raises(ValueError, match="is not the expected file: its checksum should be"):
        getattr(datasets, name).load_data()


def test_a_file_of_one_s_own(home):
    np.savez(home / "own.npz", x=np.zeros((10, 2)), y=np.arange(10))
    assert boston_housing.load_data(path=str(home / "own.npz"))[0][1].tolist() == ORDER[:8]
    with pytest.raises(FileNotFoundError, match=r"Give the bare name 'lost\.npz'"):
        boston_housing.load_data(path=str(home / "lost.npz"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda home: cifar100.load_data("medium"), "Unknown label_mode 'medium'"),
        (lambda home: california_housing.load_data("tiny"), "Unknown version 'tiny'"),
        (lambda home: boston_housing.load_data(test_split=1.0), "test_split must be at least 0 and below 1"),
        (lambda home: imdb.load_data(foo=1), "imdb.load_data has no argument 'foo'"),
        (lambda home: mnist.load_data(str(home / "text.npz")), "is not an .npz file"),
        (lambda home: mnist.load_data(str(home / "half.npz")), "has no array 'y_train'; it has x_train.npy"),
    ],
)
def test_errors(home, call, message):
    (home / "text.npz").write_text("hello")
    np.savez(home / "half.npz", x_train=np.zeros(1))
    with pytest.raises((ValueError, TypeError)) as error:
        call(home)
    assert message in str(error.value)


def test_no_review_is_short_enough(reviews):
    with pytest.raises(ValueError, match="No text is shorter than maxlen=1"):
        imdb.load_data(maxlen=1)


def test_a_broken_archive_is_named(home, monkeypatch):
    path = home / "cifar-10-python.tar.gz"
    path.write_bytes(b"hello")
    sign(monkeypatch, cifar10, path)
    with pytest.raises(ValueError, match="is not the expected archive"):
        cifar10.load_data()
    members(path, **{"cifar-10-batches-py/data_batch_1": cifar_batch(0, labels=[1, 2])})
    sign(monkeypatch, cifar10, path)
    with pytest.raises(ValueError, match="data_batch_2"):
        cifar10.load_data()


# --------------------------------------------------------------------------- pickles


class Evil:
    """What runs a command when an ordinary unpickler loads it."""

    def __reduce__(self):
        import os

        return os.system, ("echo evil > evil.txt",)


def load(data: bytes):
    return read_pickle(io.BytesIO(data), "file")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="uint8").reshape(2, 3),
        np.arange(6, dtype=">i4"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.array(0.5, "float32"),
        objects([[1, 2], [], [3]]),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_are_read(array, protocol):
    for data in (
        pickle.dumps(array, protocol),
        # The name that older versions of numpy write.
        pickle.dumps(array, protocol).replace(b"numpy._core", b"numpy.core")
        if protocol < 4
        else pickle.dumps(array, 3),
    ):
        result = load(data)
        np.testing.assert_array_equal(result, array)
        assert result.shape == array.shape and result.dtype == array.dtype


@pytest.mark.parametrize(
    ("code", "order", "expected"), [(b"u1", b"|", "u1"), (b"i2", b">", ">i2"), (b"i2", b"<", "<i2")]
)
def test_arrays_of_python_2_are_read(code, order, expected):
    # As numpy under Python 2 wrote them, in which CIFAR is distributed: strings where Python 3 writes text or bytes.
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K" + bytes([4 // np.dtype(expected).itemsize]) + b"\x85cnumpy\ndtype\nU\x02" + code + b"K\x00K\x01\x87R"
        b"(K\x03U\x01" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x02\x03\x04tb."
    )
    result = load(data)
    np.testing.assert_array_equal(result, np.frombuffer(b"\x01\x02\x03\x04", expected))
    assert result.dtype == expected


def test_arrays_inside_lists_are_read():
    (array,) = load(pickle.dumps({"a": [np.arange(2)]}, 2))["a"]
    np.testing.assert_array_equal(array, [0, 1])


def test_strings_of_python_2_are_read():
    # {'labels': [3], 'data': <bytes>}, as Python 2 writes it.
    assert load(b"\x80\x02}q\x00(U\x06labelsq\x01]q\x02K\x03aU\x04dataq\x03U\x02\xff\x00q\x04u.") == {
        "labels": [3],
        "data": b"\xff\x00",
    }


@pytest.mark.parametrize(
    "value",
    [Evil(), {"data": Evil()}, [1, Evil()], eval, np.float64, np.frombuffer, objects([Evil()]), {1}, complex(1)],
    ids=["object", "dict", "list", "eval", "float64", "frombuffer", "array", "set", "complex"],
)
def test_nothing_is_executed(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for protocol in range(5):
        with pytest.raises(ValueError, match="file is not a data set that can be read"):
            load(pickle.dumps(value, protocol))
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        # The functions that stand for numpy's cannot be changed: set an attribute on each.
        *(
            b"\x80\x02c" + name + b"\nN}U\x0c__defaults__K\x01s\x86b."
            for name in (b"numpy.core.multiarray\n_reconstruct", b"numpy\nndarray", b"numpy\ndtype", b"_codecs\nencode")
        ),
        # An array without a state, and one whose bytes do not fill its shape.
        b"\x80\x02cnumpy\nndarray\n)R.",
        pickle.dumps(np.arange(6, dtype="uint8"), 2).replace(b"K\x06\x85", b"K\x07\x85"),
        # An encoding that is no plain copy of bytes.
        b"\x80\x02c_codecs\nencode\nU\x01aU\x03hex\x86R.",
        pickle.dumps(np.array(["text"]), 2),
        pickle.dumps(np.array(["2020"], "datetime64[Y]"), 2),
    ],
    ids=range(11),
)
def test_malformed_pickles_are_errors(data):
    with pytest.raises(ValueError, match="file is not a data set that can be read"):
        load(data)
