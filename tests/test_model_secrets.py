"""A key is sent to its provider only: no event, log, message or repr contains it."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from model_server import HangsUp, ModelServer, Refuses, Reply, Says, scripted_models
from model_tasks import PLAN, run

from actors.models.factory import open_models
from actors.settings import Settings

KEY = "sk-+secret/0123456789="
ENCODED = "sk-%2Bsecret%2F0123456789%3D"
SAID = {
    "error": {"message": f"No: Bearer {KEY}, {ENCODED}", "type": "x", "code": KEY, "param": KEY}
}


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModelServer]:
    for provider in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{provider}_API_KEY", KEY)
    async with scripted_models() as server:
        yield server


def error(**more: Any) -> bytes:
    return b"data: " + json.dumps({"type": "error", **SAID, **more}).encode() + b"\n\n"


REPLIES: dict[str, Reply] = {
    **{str(s): Refuses(s, SAID) for s in (400, 401, 402, 403, 404, 422, 429, 500, 503)},
    "text": Refuses(500, f"Bearer {KEY}"),
    "cut": Refuses(400, f"Incorrect API key: {KEY[:14]}..."),
    "long": Refuses(400, "x" * 290 + KEY),
    "detail": Refuses(422, {"detail": [{"loc": ["header", KEY], "msg": KEY}]}),
    "redirect": Refuses(307, headers={"Location": f"http://127.0.0.1:1/?key={KEY}"}),
    "in-the-text": Says("It is ", error()),
    "in-the-text-lasting": Says(error(error={"type": "authentication_error", "message": KEY})),
    "garbage": Says(f"data: {KEY}\n\n".encode()),
    "hangs-up": HangsUp(),
}


@pytest.mark.parametrize("model", ["openai:m", "anthropic:m"])
@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_a_key_that_a_server_sends_back_is_hidden(
    server: ModelServer, caplog: pytest.LogCaptureFixture, reply: Reply, model: str
) -> None:
    caplog.set_level(logging.INFO)

    log = await run(server, PLAN, reply, model=model)

    assert KEY in str(server.requests[0].headers)
    for said in (*(json.dumps(event.data) for event in log), *caplog.messages, caplog.text):
        assert "secret" not in said


@pytest.mark.parametrize("model", ["openai:m", "anthropic:m"])
async def test_no_repr_shows_a_key(server: ModelServer, model: str) -> None:
    settings = Settings(model=model, openai_base_url=server.url, anthropic_base_url=server.url)
    async with open_models(settings) as models:
        assert "secret" not in f"{models!r} {models.writer!r} {models.writer!s} {settings!r}"
