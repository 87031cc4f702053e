"""Images and directories of files; expected pixels were measured on Keras 3.15."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from nngraph import config
from nngraph.utils import text_dataset_from_directory
from nngraph.utils.images import array_to_img, img_to_array, load_img, save_img, smart_resize

RAMP = np.arange(12, dtype="float32").reshape(2, 2, 3)


def pixels(image):
    return np.asarray(image).tolist()


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image")


def test_array_to_img(pillow):
    assert pixels(array_to_img(RAMP)) == [[[0, 23, 46], [69, 92, 115]], [[139, 162, 185], [208, 231, 255]]]
    assert pixels(array_to_img(RAMP, scale=False)) == RAMP.astype(int).tolist()
    assert array_to_img(np.zeros((2, 3, 1))).mode == "L"
    assert array_to_img(np.zeros((2, 3, 1))).size == (3, 2)
    assert array_to_img(np.full((2, 3, 1), 300.0), scale=False).mode == "I"
    assert array_to_img(np.zeros((2, 3, 4))).mode == "RGBA"
    assert array_to_img(np.zeros((3, 2, 5)), data_format="channels_first").size == (5, 2)


def test_img_to_array(pillow):
    image = array_to_img(RAMP)
    assert img_to_array(image).dtype == "float32" and img_to_array(image).shape == (2, 2, 3)
    assert img_to_array(image, "channels_first").shape == (3, 2, 2)
    assert img_to_array(image, dtype="uint8").dtype == "uint8"
    assert img_to_array(array_to_img(RAMP[..., :1])).shape == (2, 2, 1)


def test_load_img(pillow, tmp_path):
    path = tmp_path / "a.png"
    save_img(path, RAMP, scale=False)
    assert pixels(load_img(path)) == RAMP.astype(int).tolist()
    assert pixels(load_img(io.BytesIO(path.read_bytes()))) == RAMP.astype(int).tolist()
    assert pixels(load_img(path, color_mode="grayscale")) == [[1, 4], [7, 10]]
    assert pixels(load_img(path, color_mode="rgba"))[0] == [[0, 1, 2, 255], [3, 4, 5, 255]]
    resized = load_img(path, target_size=(4, 6), interpolation="bilinear")
    assert np.asarray(resized)[:, :, 0].tolist() == [
        [0, 0, 1, 2, 3, 3],
        [2, 2, 3, 4, 5, 5],
        [5, 5, 6, 7, 8, 8],
        [6, 6, 7, 8, 9, 9],
    ]
    cropped = load_img(path, target_size=(4, 2), keep_aspect_ratio=True)
    assert cropped.size == (2, 4) and np.asarray(cropped)[:, :, 0].tolist() == [[0, 0], [0, 0], [6, 6], [6, 6]]


def test_jpeg_loses_transparency(pillow, tmp_path):
    with pytest.warns(UserWarning, match="JPEG has no transparency"):
        save_img(tmp_path / "a.jpg", np.zeros((2, 2, 4)))
    assert load_img(tmp_path / "a.jpg").mode == "RGB"
    save_img(tmp_path / "named", RAMP, file_format="png")
    # Values are stretched to 0..255 unless told otherwise.
    assert pixels(load_img(tmp_path / "named"))[1][1] == [208, 231, 255]


def test_smart_resize():
    image = np.arange(24, dtype="float32").reshape(4, 6, 1)
    assert smart_resize(image, (2, 2))[..., 0].tolist() == [[4.5, 6.5], [16.5, 18.5]]
    nearest = smart_resize(np.stack([image, image]), (8, 3), interpolation="nearest")
    assert nearest.shape == (2, 8, 3, 1)
    assert nearest[0, :, :, 0].tolist() == [[value] * 3 for value in (2, 2, 8, 8, 14, 14, 20, 20)]
    np.testing.assert_allclose(
        smart_resize(image, (3, 5))[..., 0],
        [[0.1, 1.3, 2.5, 3.7, 4.9], [6.1, 7.3, 8.5, 9.7, 10.9], [12.1, 13.3, 14.5, 15.7, 16.9]],
        rtol=1e-6,
    )
    channels_first = smart_resize(image.transpose(2, 0, 1), (2, 2), data_format="channels_first")
    assert channels_first[0].tolist() == [[4.5, 6.5], [16.5, 18.5]]
    assert smart_resize(np.ones((1, 1, 1), "uint8"), (2, 2)).tolist() == np.ones((2, 2, 1)).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: array_to_img(np.zeros((2, 3))), "rank 3, one image. Received shape (2, 3)"),
        (lambda: array_to_img(np.zeros((2, 3, 2))), "1, 3 or 4 channels. Received 2"),
        (lambda: array_to_img(np.zeros((2, 3, 3)), "channels_lsat"), "Did you mean 'channels_last'"),
        (lambda: load_img("x.png", color_mode="grey"), "Unknown color_mode 'grey'"),
        (lambda: load_img("x.png", interpolation="cubic"), "Unknown interpolation 'cubic'"),
        (lambda: load_img("no-such.png"), "no-such.png"),
    ],
)
def test_image_errors(pillow, call, message):
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        call()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: img_to_array(np.zeros(3)), "needs one image"),
        (lambda: smart_resize(np.zeros((2, 2)), (1, 1)), "rank 3 or a batch of rank 4"),
        (lambda: smart_resize(RAMP, (1, 1, 1)), "size must be (height, width)"),
        (lambda: smart_resize(RAMP, (1, 1), "area"), "Unknown interpolation of smart_resize 'area'"),
        (lambda: smart_resize(RAMP, (1, 1), foo=1), "no argument 'foo'"),
    ],
)
def test_array_errors(call, message):
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    assert message in str(error.value)


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'load_img needs the package .* pip install "nngraph\[image\]"'):
        load_img("x.png")


# --------------------------------------------------------------------------- directories


@pytest.fixture
def images(pillow, tmp_path):
    """Ten grey images of 4x8 pixels in two classes; the grey value of image i is 10 i."""
    for index in range(10):
        directory = tmp_path / ("cat" if index < 6 else "dog") / "deep"
        directory.mkdir(parents=True, exist_ok=True)
        save_img(directory / f"{index}.png", np.full((4, 8, 3), 10.0 * index), scale=False)
    (tmp_path / "cat" / "notes.md").write_text("no image")
    return tmp_path


def image_dataset(*args, **kwargs):
    from nngraph.utils import image_dataset_from_directory

    return image_dataset_from_directory(*args, **{"image_size": (2, 2), "shuffle": False, "verbose": False, **kwargs})


def greys(dataset):
    return [float(image[0, 0, 0]) / 10 for batch in dataset for image in batch[0]]


def test_images_in_order(images, capsys):
    dataset = image_dataset(images, batch_size=4, verbose=True)
    assert capsys.readouterr().out == "Found 10 files belonging to 2 classes.\n"
    assert dataset.class_names == ["cat", "dog"] and len(dataset) == 3
    x, y = dataset[0]
    assert x.shape == (4, 2, 2, 3) and x.dtype == "float32" and y.dtype == "int32"
    assert greys(dataset) == list(range(10))
    assert np.concatenate([batch[1] for batch in dataset]).tolist() == [0] * 6 + [1] * 4
    assert len(dataset.file_paths) == 10


@pytest.mark.parametrize(("mode", "last"), [("int", 1), ("binary", [1.0]), ("categorical", [0.0, 1.0])])
def test_label_modes(images, mode, last):
    assert image_dataset(images, label_mode=mode)[0][1][-1].tolist() == last


def test_without_labels(images):
    assert len(image_dataset(images, label_mode=None)[0]) == 1
    assert len(image_dataset(images, labels=None)[0]) == 1
    (image, number) = image_dataset(images, batch_size=None)[7]
    assert image.shape == (2, 2, 3) and number == 1


def test_given_labels_and_classes(images):
    assert image_dataset(images, labels=list(range(10)))[0][1].tolist() == list(range(10))
    assert image_dataset(images, class_names=["dog", "cat"])[0][1].tolist() == [0] * 4 + [1] * 6


def test_shuffle_and_split(images):
    options = {"shuffle": True, "seed": 5, "validation_split": 0.3}
    training = image_dataset(images, subset="training", **options)
    validation = image_dataset(images, subset="validation", **options)
    both = image_dataset(images, subset="both", **options)
    assert [greys(part) for part in both] == [greys(training), greys(validation)]
    assert sorted(greys(training) + greys(validation)) == list(range(10)) != greys(training) + greys(validation)
    assert len(greys(validation)) == 3


def test_shapes_of_images(images):
    assert image_dataset(images, color_mode="grayscale", data_format="channels_first")[0][0].shape == (10, 1, 2, 2)
    padded = image_dataset(images, image_size=(4, 4), pad_to_aspect_ratio=True)[0][0][9, :, 0, 0]
    assert padded.tolist() == [0, 90, 90, 0]
    assert image_dataset(images, image_size=(4, 4), crop_to_aspect_ratio=True)[0][0].shape == (10, 4, 4, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"color_mode": "bgr"}, "Unknown color_mode 'bgr'"),
        ({"label_mode": "onehot"}, "Unknown label_mode 'onehot'"),
        ({"labels": "guess"}, "labels must be 'inferred', None or a list"),
        ({"labels": [1]}, "labels has 1 items, but there are 10 files"),
        ({"class_names": ["cat"]}, "class_names must be the subdirectories ['cat', 'dog']"),
        ({"validation_split": 0.5}, "Give both validation_split and subset"),
        ({"validation_split": 2.0, "subset": "both"}, "must be between 0 and 1"),
        ({"validation_split": 0.01, "subset": "both"}, "leaves none for validation"),
        ({"validation_split": 0.5, "subset": "test"}, "Unknown subset 'test'"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "only one of"),
    ],
)
def test_directory_errors(images, options, message):
    with pytest.raises(ValueError) as error:
        image_dataset(images, **options)
    assert message in str(error.value)


def test_two_calls_must_mix_alike(images):
    config.set_global_seed(None)
    with pytest.raises(ValueError, match="would mix the files differently"):
        image_dataset(images, shuffle=True, validation_split=0.5, subset="training")


def test_no_files(tmp_path):
    with pytest.raises(ValueError, match=r"no files ending in \.txt"):
        text_dataset_from_directory(tmp_path, labels=None)
    with pytest.raises(FileNotFoundError, match="There is no directory"):
        text_dataset_from_directory(tmp_path / "lost")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=r"needs two classes\. There are 1: one"):
        text_dataset_from_directory(tmp_path, label_mode="binary", verbose=False)


def test_texts(tmp_path):
    for name, text in (("neg/a", "bad"), ("pos/b", "very good")):
        path = tmp_path / f"{name}.txt"
        path.parent.mkdir()
        path.write_text(text)
    x, y = text_dataset_from_directory(tmp_path, shuffle=False, verbose=False)[0]
    assert x.tolist() == ["bad", "very good"] and y.tolist() == [0, 1]
    x, _ = text_dataset_from_directory(tmp_path, max_length=4, shuffle=False, verbose=False)[0]
    assert x.tolist() == ["bad", "very"]
