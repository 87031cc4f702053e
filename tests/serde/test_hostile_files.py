"""Bad files end in one clear error: nothing crashes, nothing large is allocated, no other file is touched."""

from __future__ import annotations

import os
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import hostile
import onnx
import pytest
from hostile import CASES, Hostile, parsed
from typer.testing import CliRunner

import nngraph
from nngraph import config
from nngraph.cli import app
from nngraph.serde import from_proto
from nngraph.serde.limits import check_limits, check_sizes

SECRET = b"0123456789abcdef"  # as many bytes as the tensors that ask for it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a model; the files beside it are none of the model's business."""
    (tmp_path / "secret.bin").write_bytes(SECRET)
    place = tmp_path / "model"
    place.mkdir()
    return place


class Watch:
    """The files that were opened, and those of them that lie outside of a folder of models."""

    def __init__(self) -> None:
        self.on = False
        self.opened: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.on and event == "open" and isinstance(arguments[0], (str, bytes)):
            self.opened.append(os.fsdecode(arguments[0]))


WATCH = Watch()
sys.addaudithook(WATCH)


@pytest.fixture
def watched() -> Iterator[Watch]:
    WATCH.opened.clear()
    WATCH.on = True
    yield WATCH
    WATCH.on = False


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def listing(place: Path) -> set[str]:
    return {str(p.relative_to(place)) for p in place.rglob("*")}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_bad_file_is_one_error(case: Hostile, folder: Path, watched: Watch) -> None:
    case.make(folder)
    files, memory = listing(folder.parent), rss()
    watched.opened.clear()
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        nngraph.load_onnx(folder / "model.onnx")
    watched.on = False
    message = str(caught.value)
    assert re.search(case.match, message), message
    assert len(message) < 2000
    assert not any(ord(c) < 32 and c != "\n" for c in message)  # nothing from the file moves the terminal's cursor
    assert rss() - memory < 50 << 20
    assert listing(folder.parent) == files
    touched = [p for p in watched.opened if "secret" in p or p.startswith(("/etc/pass", "/proc/self/env", "/dev/zero"))]
    assert not touched
    assert (folder.parent / "secret.bin").read_bytes() == SECRET


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_inspect_survives(case: Hostile, folder: Path) -> None:
    case.make(folder)
    done = CliRunner().invoke(app, ["inspect", str(folder / "model.onnx")])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    if case.seen:
        assert done.exit_code == 3
        assert done.output.startswith("nngraph: ") and done.output.count("\n") == 1
        assert re.search(case.match, done.output)
    else:  # what lies beside the file is not looked at
        assert done.exit_code == 0


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60
    assert sum("external data" in c.name for c in CASES) >= 15


def test_the_same_models_in_memory_are_refused(folder: Path) -> None:
    refused = 0
    for case in CASES:
        for path in folder.iterdir():
            path.unlink()
        if not case.seen or "link" in case.name:
            continue
        case.make(folder)
        try:
            model = onnx.ModelProto.FromString((folder / "model.onnx").read_bytes())
        except Exception:
            continue
        with pytest.raises(ValueError):
            from_proto(model)
        with pytest.raises(ValueError):
            nngraph.load_onnx(model.SerializeToString())
        refused += 1
    assert refused > 80


# -- files changed at random -----------------------------------------------------------------------------------------


def seeds() -> list[bytes]:
    """Return valid models: a network, branches, a function, and constants that decide about sizes."""
    kernel = ",".join(["0.5"] * 72)
    texts = [
        """g (float[n, 3] x) => (float[n, 2] y) <float[3, 2] w = {1, 2, 3, 4, 5, 6}, float[2] v = {1, 2}>
        { a = MatMul(x, w) b = Relu(a) c = Add(b, v) y = Softmax<axis = -1>(c) }""",
        """g (bool c, float[2] x) => (float[2] y) { y = If (c) <
        then_branch = t () => (float[2] a) { a = Neg(x) }, else_branch = e () => (float[2] b) { b = Abs(x) }> }""",
        f"""g (float[1, 2, 6, 6] x) => (float[4, 4] y) <float[4, 2, 3, 3] w = {{{kernel}}}, int64[2] s = {{4, 4}}>
        {{ a = Conv<kernel_shape = [3, 3], strides = [2, 2], group = 1>(x, w) y = Reshape(a, s) }}""",
        """g (float[2, 6] x) => (float[2, 3] y) <int64[2] p = {3, 3}, int64[1] s = {0}, int64[1] e = {2}>
        { a, b = Split<axis = 1>(x, p) c = Concat<axis = 0>(a, b) y = Slice(c, s, e) }""",
    ]
    models = [*map(parsed, texts), hostile.functions("a (x) => (y) { y = Relu(x) }")]
    return [m.SerializeToString() for m in models]


def mutated(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del data[at : at + rng.randint(1, 8)]
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 16)]
        else:
            data[at:at] = bytes(rng.choice((0xFF, 0x80)) for _ in range(rng.randint(1, 9))) + b"\x01"
        if not data:
            return b"\x00"
    return bytes(data)


@pytest.mark.parametrize("seed", range(5))
def test_changed_files_load_or_are_refused(seed: int, tmp_path: Path) -> None:
    rng, content = random.Random(seed), seeds()[seed]
    nngraph.load_onnx(content)  # as it is, it loads
    loaded = 0
    for _ in range(100):
        (tmp_path / "model.onnx").write_bytes(mutated(content, rng))
        try:
            nngraph.load_onnx(tmp_path / "model.onnx")
        except (ValueError, FileNotFoundError):
            continue
        loaded += 1
    assert loaded < 100


# -- where the limits would fail -------------------------------------------------------------------------------------

BLOCKS = "g (float[1, 4, 1, 1] x) => (float[a, b, c, d] y) { y = DepthToSpace<blocksize = 4294967296>(x) }"
PARTS = "g (float[6] x) => (float[a] p, float[b] q, float[c] r) { p, q, r = Split<num_outputs = 2>(x) }"


@pytest.mark.parametrize("text", [BLOCKS, PARTS])
def test_without_limits_a_child_process_meets_what_crashes(
    text: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = parsed(text)
    hostile.write(folder, model)
    monkeypatch.setattr("nngraph.serde.reading.check_limits", lambda *_, **__: None)
    for source in (folder / "model.onnx", model, model.SerializeToString()):
        with pytest.raises(ValueError, match=r"crashes onnx's checker|is refused by onnx's checker"):
            nngraph.load_onnx(source, untrusted=True)


def test_weights_that_are_not_in_the_file_are_not_made_without_limit() -> None:
    model = parsed(
        "g (float[n, 65536] x) => (float[n, 65536] y) <int64[2] s = {65536, 65536}>"
        "{ w = ConstantOfShape<value = float[1] {0.5}>(s) y = MatMul(x, w) }"
    )
    before = rss()
    assert nngraph.load_onnx(model).weights == []
    assert rss() - before < 50 << 20


def test_an_untrusted_model_that_is_good_loads(folder: Path) -> None:
    hostile.write(folder, hostile.good())
    assert nngraph.load_onnx(folder / "model.onnx", untrusted=True).output_names == ["y"]


@pytest.mark.parametrize("seed", range(3))
def test_inspect_survives_changed_files(seed: int, tmp_path: Path) -> None:
    from nngraph.serde import summarize

    rng = random.Random(seed)
    model = onnx.ModelProto.FromString(seeds()[0])
    model.producer_name, model.producer_version, model.graph.doc_string = "producer", "1.0", "text"
    model.metadata_props.add(key="key", value="value")
    content = model.SerializeToString()
    for _ in range(200):
        (tmp_path / "model.onnx").write_bytes(mutated(content, rng))
        try:
            summarize(tmp_path / "model.onnx")
        except ValueError as error:
            assert str(error).isprintable()


# -- what must still be possible -------------------------------------------------------------------------------------


def test_the_limit_of_one_value_can_be_set() -> None:
    model = parsed("g (float[1024, 1] x) => (float[1024, 1024] y) { z = Transpose(x) y = Add(x, z) }")
    graph = from_proto(model)
    check_sizes(graph)
    with config.override(max_tensor_gib=0.001), pytest.raises(ValueError, match=r"takes 4194304|takes 0\.0 GiB"):
        check_sizes(graph)
    with config.override(max_tensor_gib=0.001), pytest.raises(ValueError, match="NNGRAPH_MAX_TENSOR_GIB"):
        from_proto(model)


def test_a_hub_cache_of_links_loads(tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "1").write_bytes(hostile.external("model.onnx_data").SerializeToString())
    (blobs / "2").write_bytes(b"\0\0\0\x40" * 4)
    (snapshot / "model.onnx").symlink_to("../../blobs/1")
    (snapshot / "model.onnx_data").symlink_to("../../blobs/2")
    model = nngraph.load_onnx(snapshot / "model.onnx")
    assert model.weights[0].numpy().tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_external_data_need_not_say_its_length(folder: Path) -> None:
    hostile.write(folder, hostile.external("data.bin", length=None, offset=8))
    (folder / "data.bin").write_bytes(bytes(8) + b"\0\0\0\x40" * 4 + bytes(100))
    assert nngraph.load_onnx(folder / "model.onnx").weights[0].numpy().tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_all_models_that_come_with_onnx_pass() -> None:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    paths = sorted(folder.rglob("*.onnx"))
    for path in paths:
        check_limits(onnx.load(path, load_external_data=False))
    assert len(paths) > 100
