"""The encoders that the setting can name: what is checked, and what each says when it fails."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from actors.library.encoders import encoder as module
from actors.library.encoders.encoder import EncoderUnavailable, encoder_loader
from actors.settings import Settings

KEY = "sk-secret-0123456789"


def problem(setting: str, model: str = "") -> str:
    """What the encoder of a setting says when it is loaded."""
    load = encoder_loader(setting, model)
    assert load is not None
    with pytest.raises(EncoderUnavailable) as raised:
        load()
    return str(raised.value)


def test_no_setting_is_no_encoder() -> None:
    assert Settings().encoder == ""
    assert encoder_loader("") is None


def test_a_url_with_a_password_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(encoder="http://me:secret@localhost/v1/embeddings")


@pytest.mark.parametrize("setting", ["no-such-encoder", "/no/such/folder", "./no/such/folder"])
def test_what_is_neither_a_folder_nor_known_is_named(setting: str) -> None:
    assert setting in problem(setting)
    assert "OWNER/MODEL" in problem(setting)


def test_without_the_extra_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(module, "find_spec", lambda name: None)

    assert "pip install 'terzetto[encoder]'" in problem(str(tmp_path))


# --- An endpoint ------------------------------------------------------------------------------


@contextmanager
def endpoint(answer: Any, status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server of `/v1/embeddings`: its base URL and the requests that it got."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            key = self.headers.get("Authorization", "")
            requests.append({**body, "path": self.path, "key": key})
            content = json.dumps(answer(body["input"])).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def embeddings(texts: list[str]) -> dict[str, Any]:
    """Vectors by the length of the text, in reverse order, with their places."""
    rows = [{"index": n, "embedding": [3.0, float(len(t))]} for n, t in enumerate(texts)]
    return {"data": rows[::-1]}


def test_an_endpoint_is_asked_with_the_model_and_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with endpoint(embeddings) as (url, requests):
        load = encoder_loader(url, "small")
        assert load is not None
        encoder = load()
        rows = encoder.encode([*"abcd", "efgh"] * 9)

    assert encoder.dimensions == 2
    assert encoder.name == f"{url}/embeddings small"
    assert rows.shape == (45, 2)
    assert rows[4] == pytest.approx([0.6, 0.8])
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(45))
    assert [len(one["input"]) for one in requests] == [1, 32, 13]
    assert {(one["model"], one["path"], one["key"]) for one in requests} == {
        ("small", "/v1/embeddings", f"Bearer {KEY}")
    }


@pytest.mark.parametrize(
    "answer",
    [{}, [], {"data": []}, {"data": [{"index": 0, "embedding": ["x"]}]}, {"data": [{"index": 0}]}],
)
def test_an_answer_without_embeddings_is_named(answer: Any) -> None:
    with endpoint(lambda texts: answer) as (url, _):
        assert "Is it an address of /v1/embeddings?" in problem(f"{url}/embeddings")


def test_a_refusal_is_named_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with endpoint(lambda texts: {"error": {"message": KEY}}, status=401) as (url, _):
        text = problem(url)

    assert "answered 401" in text
    assert KEY not in text


def test_an_endpoint_that_is_not_there_is_named() -> None:
    assert "http://127.0.0.1:1/v1/embeddings does not answer" in problem("http://127.0.0.1:1/v1")
