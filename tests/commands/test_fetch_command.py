"""``veritrain fetch``: tells without sending, downloads when asked, and a torn answer leaves nothing behind."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from veritrain import cli
from veritrain.models import clip_files
from watched.calls import calls_in, watched_environment

CONTENT = b"not really weights" * 1000
NAME = "remoteclip-rn50"


class Server(BaseHTTPRequestHandler):
    promised = len(CONTENT)
    status = 200

    def do_GET(self) -> None:
        self.send_response(type(self).status)
        self.send_header("Content-Length", str(type(self).promised))
        self.end_headers()
        if self.status == 200:
            self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[type[Server]]:
    """A server of this machine in the place of the publisher's."""
    handler = type("Handler", (Server,), {})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    known = clip_files.PUBLISHED[NAME]
    url = f"http://127.0.0.1:{http.server_port}/{known.file}"
    monkeypatch.setitem(clip_files.PUBLISHED, NAME, dataclasses.replace(known, url=url))
    for proxy in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    yield handler
    http.shutdown()
    http.server_close()


def test_without_the_flag_it_only_tells(tmp_path, capsys):
    assert cli.main(["fetch", NAME, "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "https://huggingface.co/chendelong/RemoteCLIP/resolve/main/RemoteCLIP-RN50.pt" in told
    assert "about 400 MB" in told and told.count("unknown to us") == 2
    assert f"put it at {tmp_path / 'RemoteCLIP-RN50.pt'}" in told and "--download" in told
    assert not list(tmp_path.iterdir())


def test_the_json_has_null_for_what_nobody_verified(tmp_path, capsys):
    assert cli.main(["fetch", "remoteclip-vit-l-14", "--json", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["licence"], found["sha256"], found["here"], found["size_mb"]) == (None, None, None, 1700)
    assert found["network"] == "ViT-L-14"


def test_telling_sends_nothing_and_downloading_offline_says_where_to_put_the_file(command, tmp_path):
    log = tmp_path / "calls"
    done = command("fetch", NAME, "--out", tmp_path, env=watched_environment(log))
    assert done.returncode == 0 and calls_in(log, "watched") and not calls_in(log, "outside")
    done = command("fetch", NAME, "--out", tmp_path / "w", "--download", env=watched_environment(log))
    assert done.returncode == 69 and calls_in(log, "outside"), "the watch refuses it, like a cable that is out"
    assert f"put it at {tmp_path / 'w' / 'RemoteCLIP-RN50.pt'}" in done.stderr and "UnreachableError" in done.stderr
    assert not list((tmp_path / "w").iterdir())


def test_asked_for_it_brings_the_file_and_its_sum(server, tmp_path, capsys):
    assert cli.main(["fetch", NAME, "--download", "--json", "--out", str(tmp_path / "new")]) == 0
    found = json.loads(capsys.readouterr().out)
    path = tmp_path / "new" / "RemoteCLIP-RN50.pt"
    assert path.read_bytes() == CONTENT and found["path"] == str(path)
    assert found["here"] == {"bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path, capsys):
    (tmp_path / "RemoteCLIP-RN50.pt").write_bytes(b"mine")
    assert cli.main(["fetch", NAME, "--download", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "RemoteCLIP-RN50.pt").read_bytes() == b"mine"
    assert "4 bytes" in capsys.readouterr().out


@pytest.mark.parametrize("fault", [{"promised": len(CONTENT) + 5}, {"status": 404}])
def test_a_torn_answer_leaves_nothing_behind(server, tmp_path, capsys, fault):
    for name, value in fault.items():
        setattr(server, name, value)
    assert cli.main(["fetch", NAME, "--download", "--out", str(tmp_path)]) == 69
    assert "cannot be fetched" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_known_sum_is_held_against_the_file(tmp_path, monkeypatch, capsys):
    known = dataclasses.replace(clip_files.PUBLISHED[NAME], sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(clip_files.PUBLISHED, NAME, known)
    path = tmp_path / known.file
    path.write_bytes(CONTENT)
    assert cli.main(["fetch", NAME, "--out", str(tmp_path)]) == 0
    assert "as published" in capsys.readouterr().out
    path.write_bytes(CONTENT[:-1])
    assert cli.main(["fetch", NAME, "--out", str(tmp_path)]) == 66
    assert "not the published one" in capsys.readouterr().err


def test_an_unknown_name_names_the_nearest(capsys):
    assert cli.main(["fetch", "remoteclip-rn5"]) == 64
    assert "did you mean 'remoteclip-rn50'?" in capsys.readouterr().err
