"""`tokenize --tokenizer NAME`: a tokenizer of the hub, from a server that speaks enough of its protocol."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from corpuskit.tokens import bpe, learning
from tests.build import hashes, load, prose, write_docs

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Serves the folders below `server.root` as models of one commit."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        self.server.asked.append((self.command, name, file))  # type: ignore[attr-defined]
        folder: Path = self.server.root / name  # type: ignore[attr-defined]
        if not folder.is_dir():
            self._answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", "v1", SHA):
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif not (folder / file).is_file():
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": SHA})
        else:
            data = (folder / file).read_bytes()
            self._answer(200, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": SHA})

    def _answer(self, status: int, body: bytes, fields: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    made.root, made.asked = tmp_path / "hub", []
    for name in ("small", "org/small"):
        (made.root / name).mkdir(parents=True)
        bpe.save(learning.learn([row["text"] for row in prose(20)], 400), made.root / name)
    (made.root / "org/slow").mkdir()
    (made.root / "org/slow/vocab.json").write_text("{}")
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def tokenize(server: Any, home: Path, out: Path, name: str, **more: str) -> tuple[int, str]:
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    where = {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **more}
    docs = write_docs(out.parent / "docs", prose(20)) if not (out.parent / "docs").exists() else out.parent / "docs"
    command = [sys.executable, "-m", "corpuskit", "--quiet", "tokenize", str(docs), str(out), "--tokenizer", name]
    done = subprocess.run(command, env=os.environ | where, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.replace(endpoint, "HUB")


@pytest.mark.parametrize("name", ["small", "org/small", "org/small@v1"])
def test_a_name_is_the_tokenizer_of_that_name(server: Any, tmp_path: Path, name: str) -> None:
    assert tokenize(server, tmp_path / "home", tmp_path / "out", name) == (0, "")
    folder = server.root / name.partition("@")[0]
    wanted = bpe.load(folder).encode([row["text"] for row in prose(20)])[0].tolist()
    found = [at for row in load(tmp_path / "out").column("input_ids").to_pylist() for at in row[:-1]]
    assert found == wanted
    kept = json.loads((tmp_path / "out" / "tokenizer" / "tokenizer.json").read_text())
    assert kept == json.loads((folder / "tokenizer.json").read_text())


def test_it_is_the_same_run_from_a_folder_and_comes_from_the_cache_the_second_time(server: Any, tmp_path: Path) -> None:
    assert tokenize(server, tmp_path / "home", tmp_path / "a", "org/small")[0] == 0
    server.asked.clear()
    assert tokenize(server, tmp_path / "home", tmp_path / "b", "org/small", HF_HUB_OFFLINE="1") == (0, "")
    assert server.asked == []
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("nobody/none", 69, "no file or folder nobody/none, and the hub does not give a tokenizer: 401 Client Error"),
        ("org/small@v9", 69, "404 Client Error"),
        ("org/slow", 66, "the hub's org/slow has no tokenizer.json"),
        ("missing.json", 66, "missing.json: no such file or folder"),
        ("a/b/c", 66, "a/b/c: no such file or folder"),
    ],
)
def test_what_is_not_there_is_one_line(server: Any, tmp_path: Path, name: str, code: int, says: str) -> None:
    found, err = tokenize(server, tmp_path / "home", tmp_path / "out", name)
    assert (found, len(err.strip().splitlines())) == (code, 1)
    assert says in err


def test_a_hub_that_does_not_answer_is_no_missing_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    from corpuskit.errors import Unavailable
    from corpuskit.sources import hub_tokenizer

    def download(*words: object, **options: object) -> str:
        raise LocalEntryNotFoundError("cannot reach the hub")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(Unavailable, match="no file or folder owner/name"):
        hub_tokenizer.fetch("owner/name")
