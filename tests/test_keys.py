"""Keys: who gets in, what each sees, and where requests may come from."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from scripted import Cast, scripted_system

from actors.errors import IllegalState, InvalidRequest
from actors.library.library import Library, open_library
from actors.settings import Settings
from web.access.audit import audited, record
from web.access.keys import Keys, lifetime
from web.api.app import create_app
from web.data_folder import FolderUnusable
from web.server import check_bind, serve
from web.settings.model import ServerSettings
from web.settings.problems import SettingsError

NEW = {"task_description": "frogs"}


@asynccontextmanager
async def with_keys(
    *names: tuple[str, Any], library: Library | None = None, **settings: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, dict[str, str]]]]:
    """A real server with these keys (name and scope), and the headers for each of them."""
    keys, closing = Keys(None), trio.Event()
    headers = {
        name: {"Authorization": f"Bearer {keys.add(name, scope, None)[1]}"} for name, scope in names
    }
    chosen = ServerSettings(bind="127.0.0.1:0", **settings)
    more: dict[str, Any] = {"library": library} if library else {}
    if "data_dir" in settings:
        more["settings"] = chosen
    async with scripted_system(Cast(), **more) as system, trio.open_nursery() as nursery:
        start = partial(serve, create_app(system, chosen, keys), chosen)
        (url, *_) = await nursery.start(partial(start, shutdown_trigger=closing.wait))
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield http, headers
        closing.set()


async def test_without_a_valid_key_nothing_is_answered_but_health_and_the_page():
    async with with_keys(("a", "read")) as (http, _):
        refused = await http.get("/tasks")
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
        wrong = await http.get("/tasks", headers={"X-API-Key": "tz_x"})
        assert wrong.status_code == 401
        assert (await http.get("/openapi.json")).status_code == 401
        assert (await http.get("/livez")).status_code == 200


async def test_a_scope_includes_the_lesser_ones():
    names = ("r", "read"), ("w", "write"), ("x", "admin")
    async with with_keys(*names) as (http, key):
        found = {
            name: [
                (await http.request(method, path, headers=key[name], json=body)).status_code
                for method, path, body in (
                    ("GET", "/tasks", None),
                    ("POST", "/tasks", NEW),
                    ("GET", "/keys", None),
                    ("OPTIONS", "/tasks", None),
                )
            ]
            for name, _ in names
        }

    assert found == {
        "r": [200, 403, 403, 200],
        "w": [200, 201, 403, 200],
        "x": [200, 201, 200, 200],
    }


async def test_a_task_is_there_for_its_key_and_the_admin_only():
    async with with_keys(("a", "write"), ("b", "write"), ("x", "admin")) as (http, key):
        task_id = (await http.post("/tasks", json=NEW, headers=key["a"])).json()["task_id"]
        path = f"/tasks/{task_id}"

        for method, target in (
            *(("GET", path), ("GET", f"{path}/status"), ("GET", f"{path}/events")),
            *(("GET", f"{path}/report"), ("POST", f"{path}/execute"), ("POST", f"{path}/cancel")),
            *(("POST", f"{path}/retry"), ("DELETE", path)),
        ):
            answer = await http.request(method, target, headers=key["b"])
            assert (answer.status_code, answer.json()["code"]) == (404, "task_not_found"), target
        follow_up = NEW | {"context_task_id": task_id}
        answer = await http.post("/tasks", json=follow_up, headers=key["b"])
        assert answer.status_code == 404
        listed = {
            name: len((await http.get("/tasks", headers=key[name])).json()["tasks"]) for name in key
        }
        assert listed == {"a": 1, "b": 0, "x": 1}
        assert (await http.get(path, headers=key["x"])).status_code == 200


async def test_a_damaged_task_is_deleted_by_its_key_and_is_not_there_for_others(tmp_path: Path):
    async with scripted_system(settings=Settings(data_dir=tmp_path)) as system:
        path = f"/tasks/{(await system.create('frogs', owner='a')).task_id}"
    with closing(sqlite3.connect(tmp_path / "log.db")) as db, db:
        db.execute("UPDATE log SET lines = x'7b'")

    async with with_keys(("a", "write"), ("b", "write"), data_dir=tmp_path) as (http, key):
        codes = [
            (await http.request(method, path, headers=key[name])).status_code
            for method, name in (("GET", "b"), ("DELETE", "b"), ("GET", "a"), ("DELETE", "a"))
        ]
        listed = (await http.get("/tasks", headers=key["a"])).json()["tasks"]

    assert codes == [404, 404, 500, 204] and listed == []


@pytest.mark.parametrize("change", [("DELETE", "/keys/a"), ("POST", "/keys/a/rotate")])
async def test_an_open_stream_ends_with_its_key(change: tuple[str, str]):
    async with with_keys(("a", "write"), ("x", "admin"), heartbeat_s=1.0) as (http, key):
        path = (await http.post("/tasks", json=NEW, headers=key["a"])).headers["location"]
        async with http.stream("GET", f"{path}/events?follow=true", headers=key["a"]) as stream:
            lines = stream.aiter_lines()
            assert json.loads(await anext(lines))["event_type"] == "task_created"
            (await http.request(*change, headers=key["x"])).raise_for_status()
            with trio.fail_after(10):
                last = [json.loads(line) async for line in lines][-1]

        assert last["event_type"] == "stream_closing"
        assert last["data"] == {"reason": "unauthorized", "resume_after": None}


async def test_an_open_stream_shows_nothing_that_happens_after_its_keys_end():
    async with with_keys(("a", "write"), ("x", "admin"), heartbeat_s=60.0) as (http, key):
        path = (await http.post("/tasks", json=NEW, headers=key["a"])).headers["location"]
        async with http.stream("GET", f"{path}/events?follow=true", headers=key["a"]) as stream:
            lines = stream.aiter_lines()
            assert json.loads(await anext(lines))["event_type"] == "task_created"
            (await http.delete("/keys/a", headers=key["x"])).raise_for_status()
            (await http.post(f"{path}/cancel", headers=key["x"])).raise_for_status()
            with trio.fail_after(10):
                rest = [json.loads(line)["event_type"] async for line in lines]

    assert rest == ["stream_closing"]


async def test_idempotency_keys_are_apart():
    async with with_keys(("a", "write"), ("b", "write")) as (http, key):
        ids = [
            (
                await http.post("/tasks", json=NEW, headers=key[name] | {"Idempotency-Key": "one"})
            ).json()["task_id"]
            for name in ("a", "a", "b")
        ]

    assert ids[0] == ids[1] != ids[2]


async def test_past_its_rate_a_key_is_told_when_to_come_back():
    async with with_keys(("a", "read"), ("b", "read"), key_requests_per_s=2) as (http, key):
        codes = [(await http.get("/agents", headers=key["a"])).status_code for _ in range(9)]
        last = await http.get("/agents", headers=key["a"])

        assert codes[:2] == [200, 200]
        assert last.status_code == 429 and int(last.headers["retry-after"]) >= 1
        assert (await http.get("/agents", headers=key["b"])).status_code == 200


async def test_with_keys_any_host_is_answered_and_without_only_names_of_this_machine():
    elsewhere = {"Host": "team.example.org"}
    async with with_keys(("a", "read")) as (http, key):
        assert (await http.get("/tasks", headers=key["a"] | elsewhere)).status_code == 200
    async with with_keys() as (http, _):
        refused = await http.get("/tasks", headers=elsewhere)
        assert (refused.status_code, refused.json()["code"]) == (403, "foreign_origin")
        assert "allowed_hosts" in refused.json()["detail"]
    async with with_keys(allowed_hosts=("team.example.org",)) as (http, _):
        assert (await http.get("/tasks", headers=elsewhere)).status_code == 200


async def test_refusals_cannot_push_changes_out_of_the_audit_log(tmp_path: Path):
    with audited(tmp_path):
        async with with_keys(("a", "write"), ("r", "read")) as (http, key):
            await http.get("/tasks/" + "x" * 10_000)
            await http.post("/tasks", json=NEW, headers=key["a"])
            await http.post("/tasks", json=NEW, headers=key["r"])

    changes, refusals = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("audit.log", "refused.log")
    )
    assert [(one["who"], one["outcome"]) for one in changes] == [("a", 201)]
    assert [(one["who"], one["outcome"]) for one in refusals] == [(None, 401), ("r", 403)]
    assert len(refusals[0]["action"]) == 200
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_an_audit_log_that_another_process_has_put_away_is_begun_again(tmp_path: Path):
    with audited(tmp_path):
        record("a", "", "first", 201)
        (tmp_path / "audit.log").rename(tmp_path / "audit.log.1")
        record("a", "", "second", 201)

    assert "second" not in (tmp_path / "audit.log.1").read_text()
    assert json.loads((tmp_path / "audit.log").read_text())["action"] == "second"


async def test_pages_of_allowed_origins_may_use_the_server_after_a_preflight():
    origin = "https://page.example.org"
    async with with_keys(("a", "read"), allowed_origins=(origin,)) as (http, key):
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        preflight = await http.options(
            "/tasks", headers=asked | {"Access-Control-Request-Headers": "authorization"}
        )
        answer = await http.get("/tasks", headers=key["a"] | {"Origin": origin})
        foreign = await http.get("/tasks", headers=key["a"] | {"Origin": "https://evil.example"})

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-headers"] == "authorization"
    assert answer.headers["access-control-allow-origin"] == origin
    assert foreign.status_code == 403 and "allowed_origins" in foreign.json()["detail"]


async def test_a_header_with_a_key_stands_on_one_line():
    async with with_keys(("a", "read"), ("x", "admin")) as (http, key):
        secret = {name: one["Authorization"].removeprefix("Bearer ") for name, one in key.items()}
        for name, before in (("Authorization", "Bearer "), ("X-API-Key", "")):
            doubled = [(name, before + secret["a"]), (name, before + secret["x"])]
            answer = await http.get("/tasks", headers=doubled)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_keys_are_kept_as_hashes_and_end(tmp_path: Path):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    keys = Keys(tmp_path, lambda: now)
    _, secret = keys.add("a", "write", lifetime("90d"))

    file = tmp_path / "keys.json"
    assert secret not in file.read_text() and stat.S_IMODE(file.stat().st_mode) == 0o600
    found = Keys(tmp_path, lambda: now).principal(secret)
    assert found is not None and found.name == "a" and secret not in repr(found)
    later = Keys(tmp_path, lambda: now + timedelta(days=90))
    assert later.principal(secret) is None and later.required
    assert later.ended(secret).startswith("expired on 20") and later.ended(f"{secret}x") == ""


def test_a_name_is_given_once_and_a_revoked_one_only_to_take_over(tmp_path: Path):
    keys = Keys(tmp_path)
    _, first = keys.add("a", "write", None)
    with pytest.raises(IllegalState, match="rotate"):
        keys.add("a", "read", None)
    _, second = keys.rotate("a")
    assert keys.principal(first) is None and keys.principal(second) is not None
    keys.revoke("a")
    assert keys.principal(second) is None and keys.required
    with pytest.raises(IllegalState, match="--take-over"):
        keys.add("a", "read", None)
    _, third = keys.add("a", "read", None, take_over=True)
    assert keys.principal(third) is not None


def test_keys_that_cannot_be_read_keep_the_server_from_starting(tmp_path: Path):
    none = Keys(tmp_path)
    (tmp_path / "keys.json").write_text("{")

    with pytest.raises(FolderUnusable, match="keys.json"):
        Keys(tmp_path)
    for _ in range(2):  # The first keys of a server that runs.
        with pytest.raises(FolderUnusable):
            none.refresh()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"keys": [[]]}', '{"keys": []}', None])
def test_keys_that_are_gone_while_the_server_runs_stay_in_force(tmp_path: Path, text: str | None):
    keys = Keys(tmp_path)
    _, secret = keys.add("a", "write", None)
    (tmp_path / "keys.json").unlink()
    if text is not None:
        (tmp_path / "keys.json").write_text(text)

    keys.refresh()

    assert keys.required and keys.principal(secret) is not None


@pytest.mark.parametrize("text", ["", "0d", "90", "-1d", "9999999d", "1y"])
def test_a_lifetime_has_a_number_and_a_unit(text: str):
    with pytest.raises(InvalidRequest):
        lifetime(text)


def test_other_machines_are_served_with_keys_only(tmp_path: Path):
    settings = ServerSettings(bind="0.0.0.0:8000", data_dir=tmp_path)
    keys = Keys(tmp_path)

    with pytest.raises(SettingsError, match="terzetto keys add"):
        check_bind(settings, keys)
    check_bind(settings.model_copy(update={"insecure": True}), keys)
    keys.add("a", "read", None)
    check_bind(settings, keys)


def test_the_command_makes_lists_replaces_and_revokes(tmp_path: Path, capsys):
    from web.command import main

    folder = ["--data", str(tmp_path / "data"), "--json"]
    assert main(["keys", "add", "a", "--expires", "90d", *folder]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made.keys() == {"name", "key", "scope", "expires_at"}
    assert main(["keys", "rotate", "a", *folder]) == 0
    assert json.loads(capsys.readouterr().out)["key"] != made["key"]
    assert main(["keys", "revoke", "a", *folder]) == 0
    assert main(["keys", "list", *folder]) == 0
    assert made["key"] not in capsys.readouterr().out
    assert main(["keys", "add", "a", *folder]) == 1


async def test_a_write_key_deletes_only_documents_that_it_added(tmp_path: Path):
    async with (
        open_library(None, now=lambda: datetime.now(UTC)) as library,
        with_keys(("a", "write"), ("b", "write"), ("x", "admin"), library=library) as (http, key),
    ):
        text, kind = b"Frogs sing in the pond.", {"Content-Type": "text/plain"}
        one = await http.post("/documents", content=text, headers=key["a"] | kind)
        same = await http.post("/documents", content=text, headers=key["b"] | kind)
        assert (one.status_code, same.status_code) == (201, 200)
        path = one.headers["location"]

        assert (await http.delete(path, headers=key["b"])).status_code == 403
        assert (await http.get(path, headers=key["b"])).status_code == 200
        assert (await http.delete(path, headers=key["a"])).status_code == 204


async def test_the_same_source_of_another_key_is_another_source(tmp_path: Path):
    async with (
        open_library(None, now=lambda: datetime.now(UTC)) as library,
        with_keys(("a", "write"), ("b", "write"), library=library) as (http, key),
    ):
        kind, target = {"Content-Type": "text/plain"}, "/documents?source=/notes.txt"
        mine = await http.post(target, content=b"Frogs sing.", headers=key["a"] | kind)
        await http.post(target, content=b"Toads sleep.", headers=key["b"] | kind)
        await http.delete(target, headers=key["b"])

        assert (await http.get(mine.headers["location"], headers=key["a"])).status_code == 200
