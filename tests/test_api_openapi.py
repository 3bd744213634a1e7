"""/openapi.json against what the server says: lines, answers, headers and codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_client import DATA_FIELDS, parse, scripted_api
from scripted import Cast

from actors.errors import CODES, AgentFailed
from actors.settings import Settings
from web.api.app import openapi_document
from web.api.problems import KINDS

jsonschema = pytest.importorskip("jsonschema")

DOCUMENT = openapi_document()
SCHEMAS = DOCUMENT["components"]["schemas"]


def validator(name: str) -> Any:
    whole = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(whole)


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, dict | list):
            yield from nodes(value)


async def test_every_line_is_of_the_type_that_its_name_says_and_of_no_other(served):
    cast = Cast(writes=[AgentFailed("no")], act_after=1)
    settings = Settings(data_dir=None, retry_delays_s=(0.0, 0.0))
    async with scripted_api(served, cast, settings=settings) as api:
        task_id = await api.create(metadata={"a": "b"}, budget={"steps": 9}, deadline_s=60)
        lines = [parse(line) for line in await api.run(task_id)]
        pending = await api.create()
        await api.cancel(pending, reason="x")
        lines += [parse(line) for line in await api.log(pending)]

    mapping = SCHEMAS["EventLine"]["discriminator"]["mapping"]
    seen = {line["event_type"] for line in lines}
    assert {"step_retrying", "task_completed", "task_cancelled", "plan_created"} <= seen
    for line in lines:
        for event_type, ref in mapping.items():
            valid = validator(ref.rsplit("/", 1)[1]).is_valid(line)
            assert valid == (event_type == line["event_type"]), (line, ref)
        del line["data"]
        assert not validator("EventLine").is_valid(line)


def test_the_union_has_every_type_and_every_field_of_the_contract():
    mapping = SCHEMAS["EventLine"]["discriminator"]["mapping"]

    assert mapping.keys() == {*DATA_FIELDS, "heartbeat", "stream_closing"}
    assert SCHEMAS["EventLine"]["oneOf"] == [{"$ref": ref} for ref in mapping.values()]
    for event_type, names in DATA_FIELDS.items():
        line = SCHEMAS[mapping[event_type].rsplit("/", 1)[1]]
        data = SCHEMAS[line["properties"]["data"]["$ref"].rsplit("/", 1)[1]]
        assert set(data["required"]) == names


async def test_answers_are_as_their_schemas_say_and_leave_out_what_is_empty(served):
    async with scripted_api(served) as api:
        bare, rich = await api.create(), await api.create(budget={"steps": 9})
        await api.run(rich)

        for task_id in (bare, rich):
            validator("TaskView").validate(await api.task(task_id))
        validator("TaskList").validate((await api.http.get("/tasks")).json())
        validator("Health").validate((await api.http.get("/health")).json())
        validator("AgentList").validate((await api.http.get("/agents")).json())
        validator("Problem").validate((await api.http.get("/tasks/x")).json())
        task = await api.task(bare)
        assert not validator("TaskView").is_valid({**task, "budget": None})
        assert validator("NewTask").is_valid({"task_description": "x", "deadline_s": None})


def test_nothing_has_null_for_a_default():
    assert not [node for node in nodes(DOCUMENT) if node.get("default", "") is None]


def test_every_code_is_named_and_every_error_status_says_its_codes():
    known = SCHEMAS["Problem"]["properties"]["code"]["anyOf"][0]["enum"]
    assert known == sorted(KINDS)
    assert set(SCHEMAS["Failure"]["properties"]["code"]["anyOf"][0]["enum"]) == {*CODES} - {""}
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            for code, kind in KINDS.items():
                answer = operation["responses"].get(str(kind.status))
                assert answer is None or f"`{code}`" in answer["description"]
            assert {"400", "401", "403", "408", "429", "431", "500", "503"} <= {
                *operation["responses"]
            }


async def test_the_headers_that_are_documented_are_sent(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        path = f"/tasks/{task_id}"
        begun = await api.http.post(f"{path}/execute", headers={"Prefer": "respond-async"})
        await api.ended(task_id)
        await api.create()
        answers = [
            ("/tasks", await api.http.post("/tasks", json={"task_description": "x"})),
            ("/tasks", await api.http.get("/tasks?limit=1")),
            (
                "/tasks",
                await api.http.post("/tasks", content=b"x", headers={"Content-Type": "a/b"}),
            ),
            ("/tasks/{task_id}/events", await api.http.get(f"{path}/events")),
            ("/tasks/{task_id}/report", await api.http.get(f"{path}/report")),
            ("/tasks/{task_id}/execute", begun),
        ]

    for route, answer in answers:
        operation = DOCUMENT["paths"][route][answer.request.method.lower()]
        documented = set(operation["responses"][str(answer.status_code)]["headers"])
        sent = {name for name in documented if name in answer.headers}
        assert documented - sent <= {"Accept-Encoding"}, (route, documented)


def test_a_document_may_be_sent_as_bytes_as_a_form_or_by_its_url():
    contents = DOCUMENT["paths"]["/documents"]["post"]["requestBody"]["content"]

    binary = {"schema": {"type": "string", "format": "binary"}}
    for kind in ("application/octet-stream", "text/plain", "application/pdf"):
        assert contents[kind] == binary
    assert "multipart/form-data" in contents
    assert contents["application/json"]["schema"]["$ref"].endswith("/NewPage")


def test_ids_and_times_have_their_formats_and_the_server_is_named():
    task = SCHEMAS["TaskView"]["properties"]
    assert task["task_id"]["format"] == "uuid"
    assert task["created_at"]["format"] == "date-time"
    assert json.dumps(SCHEMAS["StepView"]["properties"]["finished_at"]).count("date-time") == 1
    assert DOCUMENT["servers"][0]["url"] == "/"
