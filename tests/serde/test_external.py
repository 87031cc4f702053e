"""External data stays in the model's folder, whatever the file says and whatever lies there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from nngraph.serde.external import external_file, open_external

SECRET = b"secret"
GOOD = b"weights"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a model, beside one of secrets."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_bytes(SECRET)
    place = tmp_path / "model"
    (place / "deep" / "er").mkdir(parents=True)
    (place / "data.bin").write_bytes(GOOD)
    (place / "deep" / "er" / "data.bin").write_bytes(GOOD)
    return place


@pytest.mark.parametrize("location", ["data.bin", "./data.bin", "deep/er/data.bin", "deep//er/./data.bin"])
def test_files_inside_are_found(folder: Path, location: str) -> None:
    with open_external(folder, location) as file:
        assert file.read() == GOOD
    assert external_file(folder, location).read_bytes() == GOOD


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("", "has no location"),
        (".", "leads out"),
        ("../secrets/key", "leads out"),
        ("deep/../../secrets/key", "leads out"),
        ("deep/er/../../../secrets/key", "leads out"),
        ("./../secrets/key", "leads out"),
        ("deep/..", "leads out"),
        ("deep/../data.bin", "leads out"),
        (".. /secrets/key", "leads out"),
        (".../data.bin", "leads out"),
        ("/etc/passwd", "leads out"),
        ("//etc/passwd", "leads out"),
        ("..\\secrets\\key", "backslash"),
        ("deep\\..\\..\\secrets\\key", "backslash"),
        ("C:\\secrets\\key", "backslash or colon"),
        ("C:key", "backslash or colon"),
        ("\\\\server\\share\\key", "backslash"),
        ("file:///etc/passwd", "colon"),
        ("data.bin:stream", "colon"),
        ("data.bin\0", "control characters"),
        ("../secrets/key\0data.bin", "control characters"),
        ("data\n.bin", "control characters"),
        ("a/" * 3000 + "data.bin", "6008 characters"),
        ("deep", "no regular file"),
        ("data.bin/", None),
        ("data.bin/key", "cannot be opened"),
    ],
)
def test_locations_that_lead_elsewhere(folder: Path, location: str, message: str | None) -> None:
    if message is None:
        assert external_file(folder, location).name == "data.bin"
        return
    with pytest.raises(ValueError, match=message):
        open_external(folder, location)


def test_a_missing_file_says_where_it_should_be(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'no\.bin' does not exist in .*model.*; put it beside the model"):
        open_external(folder, "no.bin")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_external(folder, "nowhere/no.bin")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_external(folder, "．．/secrets/key")  # full-width dots are a name like any other


def test_links_that_stay_inside_are_followed(folder: Path) -> None:
    (folder / "link").symlink_to("deep/er/data.bin")
    (folder / "way").symlink_to("deep", target_is_directory=True)
    assert external_file(folder, "link").read_bytes() == GOOD
    assert external_file(folder, "way/er/data.bin").read_bytes() == GOOD


@pytest.mark.parametrize("target", ["../secrets/key", "absolute", "chain"])
def test_links_that_leave_are_refused(folder: Path, target: str) -> None:
    key = folder.parent / "secrets" / "key"
    (folder / "link").symlink_to("hop" if target == "chain" else key if target == "absolute" else target)
    (folder / "hop").symlink_to(key)
    with pytest.raises(ValueError, match="through a symbolic link"):
        open_external(folder, "link")
    (folder / "way").symlink_to("../secrets", target_is_directory=True)
    with pytest.raises(ValueError, match="through a symbolic link"):
        open_external(folder, "way/key")
    with pytest.raises(ValueError, match="through a symbolic link"):
        open_external(folder, "way/absent")


def test_links_in_a_circle_and_into_nothing(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(ValueError, match=r"in a circle|cannot be opened|no regular file"):
        open_external(folder, "a")
    with pytest.raises((ValueError, FileNotFoundError), match="external data"):
        open_external(folder, "n" * 300)
    (folder / "lost").symlink_to("gone")
    with pytest.raises(FileNotFoundError):
        open_external(folder, "lost")


def test_hard_links_are_refused(folder: Path) -> None:
    os.link(folder.parent / "secrets" / "key", folder / "hard")
    with pytest.raises(ValueError, match=r"one of 2 hard links .*; copy it"):
        open_external(folder, "hard")


def test_pipes_sockets_and_devices_are_refused_without_waiting(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        open_external(folder, "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "socket"))
        with pytest.raises(ValueError, match="no regular file"):
            open_external(folder, "socket")
    (folder / "zero").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="symbolic link"):
        open_external(folder, "zero")


def hub(root: Path) -> Path:
    """Return the model of a cache as model hubs lay it out: every file of a revision is a link into `blobs`."""
    snapshot = root / "models--a--b" / "snapshots" / "0123abcd"
    blobs = root / "models--a--b" / "blobs"
    (snapshot / "onnx").mkdir(parents=True)
    blobs.mkdir()
    for name, content in (("aaaa", b"model"), ("bbbb", GOOD)):
        (blobs / name).write_bytes(content)
    for name, blob in (("model.onnx", "aaaa"), ("model.onnx_data", "bbbb")):
        (snapshot / "onnx" / name).symlink_to(f"../../../blobs/{blob}")
    return snapshot / "onnx" / "model.onnx"


def test_the_cache_of_a_model_hub_loads(tmp_path: Path) -> None:
    model = hub(tmp_path)
    with open_external(model.parent, "model.onnx_data", model=model) as file:
        assert file.read() == GOOD
    with pytest.raises(ValueError, match="symbolic link"):  # a model that is no link may not follow one out
        open_external(model.parent, "model.onnx_data")
    (model.parent / "other").symlink_to("../../../../secret")
    (tmp_path / "secret").write_bytes(SECRET)
    with pytest.raises(ValueError, match="symbolic link"):
        open_external(model.parent, "other", model=model)


def test_a_link_to_a_model_finds_the_data_beside_the_model(folder: Path, tmp_path: Path) -> None:
    (folder / "m.onnx").write_bytes(b"model")
    link = tmp_path / "link.onnx"
    link.symlink_to(folder / "m.onnx")
    assert external_file(tmp_path, "data.bin", model=link).read_bytes() == GOOD
    with pytest.raises(ValueError, match="leads out"):
        open_external(tmp_path, "../secrets/key", model=link)


def test_a_link_that_appears_after_the_check_is_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nngraph.serde import external

    checked = external._resolve

    def slow(*arguments):
        found = checked(*arguments)
        (folder / "data.bin").unlink()
        (folder / "data.bin").symlink_to("../secrets/key")
        return found

    monkeypatch.setattr(external, "_resolve", slow)
    with pytest.raises(ValueError, match=r"cannot be opened|no regular file"):
        open_external(folder, "data.bin")
