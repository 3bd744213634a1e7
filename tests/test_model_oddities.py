"""Undocumented behaviour of real servers, and what a person sees of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from model_server import ModelServer, Refuses, Reply, Says, Step, scripted_models
from model_tasks import PLAN, PLAN_TEXT, REPORT, run, step

from actors.models.remote import REASONING_TOKENS
from actors.tasks.events import Stamped

WRITTEN = "It is a signal from a slow consumer [1]."
THOUGHT = "Secretly I wonder, says [1]."


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with scripted_models() as server:
        yield server


def data(**values: Any) -> bytes:
    return b"data: " + json.dumps(values).encode() + b"\n\n"


def delta(**values: Any) -> bytes:
    return data(choices=[{"index": 0, "delta": values, "finish_reason": None}])


def thinking(text: str) -> bytes:
    block = {"type": "thinking_delta", "thinking": text}
    return data(type="content_block_delta", index=0, delta=block)


def refused(message: str, status: int = 400, **more: Any) -> Refuses:
    return Refuses(status, {"error": {"message": message, "type": "invalid_request_error", **more}})


def assert_good(log: list[Stamped]) -> None:
    """The report is the model's complete text, without its reasoning."""
    done = log[-1].data
    assert log[-1].event_type == "task_completed", done
    (planned,) = step(log, "step_completed", "analysis")
    assert not planned["degraded"] and not done["degraded"], planned
    assert WRITTEN in done["final_output"]
    assert "ecretly" not in json.dumps([event.data for event in log])
    assert "think" not in done["final_output"]


LETTERS = [*f"<think>\n{THOUGHT}\n</think>\n\n{WRITTEN}\n"]
HARMLESS: dict[str, tuple[Step, ...]] = {
    "content-null": (delta(content=None), f"{WRITTEN}\n", delta(content=None)),
    "no-delta": (data(choices=[{"index": 0, "finish_reason": None}]), f"{WRITTEN}\n"),
    "choices-empty": (data(choices=[], prompt_filter_results=[]), f"{WRITTEN}\n"),
    "choices-null-beside-usage": (
        f"{WRITTEN}\n",
        data(choices=None, usage={"prompt_tokens": 7, "completion_tokens": 3}),
    ),
    "reasoning_content": (delta(reasoning_content=THOUGHT, content=None), f"{WRITTEN}\n"),
    "reasoning": (delta(reasoning=THOUGHT, content=""), f"{WRITTEN}\n"),
    "parts": (
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}]),
        delta(content=[{"type": "text", "text": f"{WRITTEN}\n"}]),
    ),
    "think": (f"<think>{THOUGHT}</think>{WRITTEN}\n",),
    "think-in-pieces": (f"\n<think>\n{THOUGHT}", "\n</thi", f"nk>\n\n{WRITTEN}\n"),
    "think-letter-by-letter": tuple(LETTERS),
    "think-empty": (f"<think>\n\n</think>\n\n{WRITTEN}\n",),
    "thinking": (f"<thinking>{THOUGHT}</thinking>\n{WRITTEN}\n",),
    "comments": (b": OPENROUTER PROCESSING\n\n", f"{WRITTEN}\n"),
}


@pytest.mark.parametrize("steps", HARMLESS.values(), ids=HARMLESS)
async def test_content_that_is_no_text_is_not_shown(
    server: ModelServer, steps: tuple[Step, ...]
) -> None:
    assert_good(await run(server, PLAN, Says(*steps)))


PLANS: dict[str, str] = {
    "fence": f"```json\n{PLAN_TEXT}\n```",
    "talk-around": f"Here is the plan:\n{PLAN_TEXT}\nI hope that it helps!",
    "think": f"<think>{{{THOUGHT}}}</think>\n{PLAN_TEXT}",
    "think-unopened": f"{{{THOUGHT}}} and so on.</think>\n\n{PLAN_TEXT}".removeprefix("{"),
}


@pytest.mark.parametrize("said", PLANS.values(), ids=PLANS)
async def test_a_plan_is_found_in_the_text_around_it(server: ModelServer, said: str) -> None:
    log = await run(server, Says(said), REPORT)

    assert_good(log)
    assert len(server.requests) == 2


async def test_reasoning_without_an_opening_tag_is_shown_once_and_never_kept(
    server: ModelServer,
) -> None:
    aloud = Says("Well, ", "let me see.\n", "</think>\n", f"\n{WRITTEN}\n")
    log = await run(server, PLAN, aloud)

    (retry,) = step(log, "step_retrying", "writing")
    assert "its reasoning as its answer" in retry["error"]["message"]
    assert log[-1].event_type == "task_completed"
    assert "let me see" not in log[-1].data["final_output"]
    assert WRITTEN in log[-1].data["final_output"]


async def test_reasoning_in_the_plan_holds_back_the_report(server: ModelServer) -> None:
    aloud = f"{THOUGHT}\n</think>\n\n"
    log = await run(server, Says(f"{aloud}{PLAN_TEXT}"), Says(aloud, f"{WRITTEN}\n"))

    assert_good(log)


@pytest.mark.parametrize("pieces", [1, 1_000], ids=["by-letter", "at-once"])
async def test_a_report_may_contain_reasoning_tags(server: ModelServer, pieces: int) -> None:
    said = (
        "Models write <think> and </think> [1]. So:\n\n```\n<think>\nyes\n</think>\n```\nEnd [1].\n"
    )
    log = await run(server, PLAN, Says(*[said] if pieces > 1 else said))

    assert not step(log, "step_retrying", "writing")
    assert "Models write < think> and < /think> [1]." in log[-1].data["final_output"]
    assert "```\n<think>\nyes\n</think>\n```\nEnd [1]." in log[-1].data["final_output"]


async def test_a_held_back_report_may_contain_reasoning_tags(server: ModelServer) -> None:
    aloud = f"{THOUGHT}\n</think>\n\n"
    said = "It is a pair, <think> and </think> [1].\n"
    log = await run(server, Says(f"{aloud}{PLAN_TEXT}"), Says(said))

    assert "It is a pair, < think> and < /think> [1]." in log[-1].data["final_output"]


REJECTING: dict[str, tuple[Reply, str, str]] = {
    "max_tokens": (
        refused(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead."
        ),
        "max_tokens",
        "max_completion_tokens",
    ),
    "stream_options": (
        Refuses(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]}),
        "stream_options",
        "max_tokens",
    ),
}


@pytest.mark.parametrize(("refusal", "without", "with_"), REJECTING.values(), ids=REJECTING)
async def test_a_parameter_that_is_refused_by_name_is_left_out_from_then_on(
    server: ModelServer, refusal: Reply, without: str, with_: str
) -> None:
    log = await run(server, refusal, PLAN, REPORT)

    assert_good_but_for_citations(log)
    first, *others = [one.body for one in server.requests]
    assert without in first and len(others) == 2
    assert all(without not in body and with_ in body for body in others)
    assert "response_format" in others[0]


async def test_all_parameters_may_be_refused_one_after_the_other(server: ModelServer) -> None:
    refusals = [refusal for refusal, *_ in REJECTING.values()]
    log = await run(server, *refusals, refused("response_format: not supported"), PLAN, REPORT)

    assert_good_but_for_citations(log)
    assert server.requests[-1].body.keys() == {
        "model",
        "messages",
        "stream",
        "max_completion_tokens",
    }


async def test_parameters_are_adapted_a_bounded_number_of_times(server: ModelServer) -> None:
    log = await run(server, refused("max_completion_tokens and stream_options are unknown"))

    assert log[-1].data["error"]["code"] == "model_rejected"
    assert "are unknown" in log[-1].data["error"]["message"]
    assert len(server.requests) == 4  # As it was, in two dialects more, and without a schema.


def assert_good_but_for_citations(log: list[Stamped]) -> None:
    assert log[-1].event_type == "task_completed" and not log[-1].data["degraded"], log[-1].data
    assert WRITTEN in log[-1].data["final_output"]


async def test_a_server_that_ignores_the_schema_gets_it_in_the_prompt(server: ModelServer) -> None:
    log = await run(server, Says("1. What is backpressure?"), PLAN, REPORT)

    assert_good_but_for_citations(log)
    first, second, _ = [one.body for one in server.requests]
    assert "response_format" in first and "response_format" not in second
    assert '"maxLength"' in second["messages"][0]["content"]


async def test_an_invalid_plan_with_all_fields_keeps_the_schema(
    server: ModelServer,
) -> None:
    empty = json.dumps({"questions": []})
    await run(server, Says(empty), PLAN, REPORT)

    assert "response_format" in server.requests[1].body


@pytest.mark.parametrize("model", ["openai:m", "anthropic:m"])
async def test_a_text_that_is_cut_at_its_limit_says_so(server: ModelServer, model: str) -> None:
    stopped = "length" if model.startswith("openai") else "max_tokens"
    log = await run(server, PLAN, Says(f"{WRITTEN} And the", finish=stopped), model=model)

    (written,) = step(log, "step_completed", "writing")
    assert written["degraded"] and written["error"]["code"] == "output_too_large"
    assert "more to write than its limit" in written["error"]["message"]
    assert log[-1].event_type == "task_completed" and log[-1].data["degraded"]


@pytest.mark.parametrize("model", ["openai:m", "anthropic:m"])
async def test_a_model_that_only_reasons_gets_more_tokens(server: ModelServer, model: str) -> None:
    openai = model.startswith("openai")
    thought = delta(reasoning_content=THOUGHT) if openai else thinking(THOUGHT)
    spent = Says(thought, finish="length" if openai else "max_tokens")
    whole = Says(f"{WRITTEN}\n")
    log = await run(server, spent, PLAN, whole, model=model)

    assert_good(log)
    first, second, third = [one.body["max_tokens"] for one in server.requests]
    assert second == first + REASONING_TOKENS
    assert third > REASONING_TOKENS


FAILING: dict[str, tuple[str, Reply, str, str]] = {
    "openai-error": (
        "openai:m",
        Says(WRITTEN, data(error={"message": "The engine died", "type": "server_error"})),
        "model_unavailable",
        "openai:m failed in the middle of its answer: The engine died.",
    ),
    "openai-error-text": (
        "openai:m",
        Says(WRITTEN, data(error="out of memory")),
        "model_unavailable",
        "in the middle of its answer: out of memory.",
    ),
    "openai-error-object": (
        "openai:m",
        Says(data(object="error", message="No cache left", code=500)),
        "model_unavailable",
        "openai:m failed (HTTP 500): No cache left.",
    ),
    "openai-error-lasting": (
        "openai:m",
        Says(WRITTEN, data(error={"message": "The prompt is too long", "code": 400})),
        "model_rejected",
        "refused the request (HTTP 400): The prompt is too long.",
    ),
    "openai-rate-limit": (
        "openai:m",
        Says(data(error={"message": "Slow down", "type": "rate_limit_error", "code": None})),
        "model_unavailable",
        "has reached its rate limit",
    ),
    "openai-filtered": (
        "openai:m",
        Says(WRITTEN, finish="content_filter"),
        "model_rejected",
        "declined to answer this. Word the task in another way.",
    ),
    "anthropic-overloaded": (
        "anthropic:m",
        Says(
            WRITTEN,
            data(type="error", error={"type": "overloaded_error", "message": "Overloaded"}),
        ),
        "model_unavailable",
        "anthropic:m is overloaded (HTTP 529): Overloaded.",
    ),
    "anthropic-api-error": (
        "anthropic:m",
        Says(data(type="error", error={"type": "api_error", "message": "Internal"})),
        "model_unavailable",
        "anthropic:m failed in the middle of its answer: Internal.",
    ),
    "anthropic-lasting": (
        "anthropic:m",
        Says(data(type="error", error={"type": "invalid_request_error", "message": "Not so"})),
        "model_rejected",
        "refused the request (HTTP 400): Not so.",
    ),
    "anthropic-refusal": (
        "anthropic:m",
        Says(WRITTEN, finish="refusal"),
        "model_rejected",
        "declined to answer this.",
    ),
}


@pytest.mark.parametrize(("model", "reply", "code", "words"), FAILING.values(), ids=FAILING)
async def test_an_error_in_the_middle_of_the_text_is_reported(
    server: ModelServer, model: str, reply: Reply, code: str, words: str
) -> None:
    log = await run(server, PLAN, reply, model=model)

    error = log[-1].data["error"]
    assert log[-1].event_type == "task_failed"
    assert error["code"] == code and words in error["message"], error
    assert bool(step(log, "step_retrying", "writing")) == (code == "model_unavailable")


ANTHROPIC: dict[str, tuple[Step, ...]] = {
    "thinking": (thinking(THOUGHT), f"{WRITTEN}\n"),
    "signature": (
        data(type="content_block_delta", delta={"type": "signature_delta", "signature": "x"}),
        f"{WRITTEN}\n",
    ),
    "ping": (data(type="ping"), f"{WRITTEN}\n", data(type="ping")),
    "unknown": (data(type="something_new"), f"{WRITTEN}\n"),
    "no-usage": (data(type="message_start", message={}), f"{WRITTEN}\n"),
}


@pytest.mark.parametrize("steps", ANTHROPIC.values(), ids=ANTHROPIC)
async def test_content_of_anthropic_that_is_no_text_is_not_shown(
    server: ModelServer, steps: tuple[Step, ...]
) -> None:
    assert_good(await run(server, PLAN, Says(*steps), model="anthropic:m"))


@pytest.mark.parametrize("tokens", [10**30, -1, 1.5, "7", None], ids=repr)
async def test_an_invalid_token_count_is_ignored(server: ModelServer, tokens: Any) -> None:
    counted = {"prompt_tokens": tokens, "completion_tokens": tokens}
    report = Says(f"{WRITTEN}\n", data(choices=[], usage=counted), usage=None)
    log = await run(server, PLAN, report, prices={"m": (1.0, 1.0)})

    assert_good(log)
    assert log[-1].data["usage"]["estimated"]


POND = {
    "Flow": b"Backpressure is a signal from a slow consumer to a fast producer to slow down.",
    "Queues": b"A bounded queue makes backpressure: whoever puts into a full one has to wait.",
    "Networks": b"In TCP the receive window is what backpressure is made of, as it may shrink to nothing.",
    "Plumbing": b"Old boilers know backpressure as the resistance of pipes to the flow of steam.",
    "Actors": b"Mailboxes without a limit have no backpressure, and grow until the memory is full.",
}


@pytest.mark.parametrize(
    "says",
    [
        {"message": "request (6072 tokens) exceeds the available context size (4096 tokens)"},
        {"message": "The input is above the limit.", "code": "context_length_exceeded"},
        {"message": "prompt is too long: 214000 tokens > 200000 maximum"},
    ],
    ids=["llama.cpp", "OpenAI", "Anthropic"],
)
async def test_a_model_with_a_small_context_window_gets_the_best_passages(
    server: ModelServer, says: dict[str, str]
) -> None:
    too_long = Refuses(400, {"error": {"type": "invalid_request_error", **says}})
    text = Says("It is a signal to slow down [1]. It is blue [3].\n")

    log = await run(server, PLAN, too_long, text, documents=POND)

    first, second = (json.dumps(asked.body) for asked in server.requests[1:])
    done = log[-1].data
    assert log[-1].event_type == "task_completed", done
    shown = ["passage 5" in first, "passage 2" in second, "passage 3" in second]
    assert shown == [True, True, False]
    assert "slow down [1]" in done["final_output"]
    assert "[3]" not in done["final_output"]
    assert done["citations"]["removed_citations"] == 1


async def test_a_context_window_too_small_for_one_passage_is_an_error(server: ModelServer) -> None:
    too_long = refused("the prompt is longer than the context window of 16 tokens")

    log = await run(server, PLAN, too_long, documents=POND)

    assert log[-1].event_type == "task_failed"
    assert log[-1].data["error"]["code"] == "model_rejected"
    assert "Use a model with a larger context window." in log[-1].data["error"]["message"]
    assert len(server.requests) == 4  # The plan, and five, two and one passage.
