"""get_file and cached_file: downloads, checksums, archives, and what happens without a network."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nngraph import config
from nngraph.utils import get_file
from nngraph.utils.archives import extract_archive
from nngraph.utils.files import cached_file

TEXT = b"forty-two\n" * 1000
SHA256 = hashlib.sha256(TEXT).hexdigest()
MD5 = hashlib.md5(TEXT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    requests: list = []

    def do_GET(self):
        self.requests.append(self.path)
        if self.path.startswith("/lost"):
            self.send_error(404)
            return
        self.send_response(200)
        claimed = len(TEXT) * (2 if self.path.startswith("/cut") else 1)
        if not self.path.startswith("/stream"):
            self.send_header("Content-Length", str(claimed))
        self.end_headers()
        self.wfile.write(TEXT)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    Handler.requests = []
    monkeypatch.setenv("NNGRAPH_HOME", str(tmp_path / "home"))


def leftovers(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob(".*")]


def archive(path: Path, members: dict[str, bytes], kind: str = "tar") -> str:
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, data in members.items():
                file.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as file:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
    return path.as_uri()


def test_downloads_once(server, capsys):
    path = get_file(origin=f"{server}/data.txt?version=1", file_hash=SHA256)
    assert path == str(config.home() / "datasets" / "data.txt")
    assert Path(path).read_bytes() == TEXT
    assert capsys.readouterr().out.startswith(f"Downloading data from {server}/data.txt?version=1\n")
    assert get_file(origin=f"{server}/data.txt?version=1", file_hash=SHA256) == path
    assert len(Handler.requests) == 1 and capsys.readouterr().out == ""
    get_file(origin=f"{server}/data.txt", force_download=True)
    assert len(Handler.requests) == 2
    assert leftovers(config.home()) == []


def test_chooses_the_place(server, tmp_path):
    path = get_file("other", f"{server}/stream", cache_dir=tmp_path / "mine", cache_subdir="a/b", md5_hash=MD5)
    assert path == str(tmp_path / "mine" / "a" / "b" / "other")
    assert Path(path).read_bytes() == TEXT


def test_a_cached_file_with_another_checksum_is_replaced(server):
    path = Path(get_file(origin=f"{server}/data.txt"))
    path.write_text("half")
    get_file(origin=f"{server}/data.txt", file_hash=SHA256, hash_algorithm="sha256")
    assert path.read_bytes() == TEXT


def test_a_download_with_another_checksum_is_not_kept(server):
    with pytest.raises(ValueError, match="has not the expected checksum"):
        get_file(origin=f"{server}/data.txt", file_hash="0" * 64)
    assert list((config.home() / "datasets").iterdir()) == []


@pytest.mark.parametrize(("path", "reason"), [("/lost.txt", "Not Found"), ("/cut.txt", "IncompleteRead")])
def test_a_failed_download_leaves_nothing(server, path, reason):
    with pytest.raises(FileNotFoundError, match=f"could not be downloaded from {server}{path} .*{reason}"):
        get_file(origin=server + path)
    assert list((config.home() / "datasets").iterdir()) == []


def test_without_network_the_error_says_what_to_do():
    directory = config.home() / "datasets"
    with pytest.raises(FileNotFoundError) as error:
        cached_file("data.txt", "http://127.0.0.1:1/data.txt", SHA256)
    for part in ("data.txt is not in the cache", "http://127.0.0.1:1/data.txt", f"put it into {directory} as data.txt"):
        assert part in str(error.value)
    (directory / "data.txt").write_bytes(TEXT)
    assert cached_file("data.txt", "http://127.0.0.1:1/data.txt", SHA256) == directory / "data.txt"


def test_a_wrong_file_put_there_by_hand_is_an_error_and_left_alone():
    path = config.home() / "datasets" / "data.txt"
    path.parent.mkdir(parents=True)
    path.write_text("half")
    with pytest.raises(ValueError, match=f"its checksum should be {SHA256}"):
        cached_file("data.txt", "http://127.0.0.1:1/data.txt", SHA256)
    assert path.read_text() == "half"


@pytest.mark.parametrize(
    ("file", "fname", "kind", "options", "target"),
    [
        ("d.tar.gz", None, "tar", {"extract": True}, "d_extracted"),
        ("d.tar.gz", "x.tgz", "tar", {"extract": True}, "x_extracted"),
        ("d.tar.gz", "folder", "tar", {"untar": True}, "folder"),
        ("d.zip", None, "zip", {"extract": True, "archive_format": ["tar", "zip"]}, "d_extracted"),
    ],
)
def test_archives_are_unpacked(tmp_path, file, fname, kind, options, target):
    url = archive(tmp_path / file, {"d/a.txt": b"a", "d/sub/b.txt": b"b"}, kind)
    path = get_file(fname, url, **options)
    assert path == str(config.home() / "datasets" / target)
    assert (Path(path) / "d" / "sub" / "b.txt").read_text() == "b"
    (Path(path) / "d" / "a.txt").write_text("kept")
    assert get_file(fname, url, **options) == path
    assert (Path(path) / "d" / "a.txt").read_text() == "kept"
    get_file(fname, url, force_download=True, **options)
    assert (Path(path) / "d" / "a.txt").read_text() == "a"
    assert leftovers(config.home()) == []


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt"])
def test_archives_cannot_write_outside(tmp_path, kind, name):
    url = archive(tmp_path / "d", {"a.txt": b"a", name: b"evil"}, kind)
    with pytest.raises(ValueError, match="is not safe to unpack"):
        get_file("d", url, extract=True)
    assert not list(tmp_path.rglob("evil.txt"))
    assert [path.name for path in (config.home() / "datasets").iterdir()] == ["d_archive"]


def test_absolute_names_stay_inside(tmp_path):
    outside = tmp_path / "evil.txt"
    with pytest.raises(ValueError, match="is not safe to unpack"):
        get_file("z", archive(tmp_path / "z", {str(outside): b"evil"}, "zip"), extract=True)
    assert not outside.exists()


def test_links_that_lead_outside_are_refused(tmp_path):
    with tarfile.open(tmp_path / "d.tar", "w") as file:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(ValueError, match="is not safe to unpack"):
        extract_archive(tmp_path / "d.tar", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as file:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="is not safe to unpack"):
        extract_archive(tmp_path / "d.zip", tmp_path / "out")


def test_format_none_is_no_archive(tmp_path):
    archive(tmp_path / "d.tar", {"a": b"a"})
    assert extract_archive(tmp_path / "d.tar", tmp_path / "out", None) is False
    assert extract_archive(tmp_path / "d.tar", tmp_path / "out", "zip") is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs origin"),
        ({"origin": "http://host/"}, "does not end with a file name"),
        ({"fname": "a/b", "origin": "http://host/x"}, "a name without directories"),
        ({"fname": "..", "origin": "http://host/x"}, "a name without directories"),
        ({"origin": "FILE", "file_hash": "abc"}, "neither an MD5 nor a SHA-256 checksum"),
        ({"origin": "FILE", "file_hash": MD5, "hash_algorithm": "sha1"}, "Unknown hash_algorithm 'sha1'"),
        ({"origin": "FILE", "extract": True}, "is not an archive that can be unpacked"),
        ({"origin": "FILE", "extract": True, "archive_format": "rar"}, "Unknown archive_format 'rar'"),
    ],
)
def test_wrong_arguments(tmp_path, options, message):
    (tmp_path / "plain").write_bytes(TEXT)
    if options.get("origin") == "FILE":
        options = {**options, "origin": (tmp_path / "plain").as_uri()}
    with pytest.raises(ValueError) as error:
        get_file(**options)
    assert message in str(error.value)
