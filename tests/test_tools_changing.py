"""Tool servers whose tools change while they run, by the older and by the newer protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from test_tools import GUARD_S, raw, sdk, started

from actors.tools import Tools

ALLOWED = ["search", "grow", "add", "dive"]


async def names(tools: Tools, wanted: list[str]) -> list[str]:
    """The tools, once they are the wanted ones or the time is up."""
    with trio.move_on_after(GUARD_S / 2):
        while [tool.name for tool in tools.catalog()] != wanted:
            await trio.sleep(0.01)
    return [tool.name for tool in tools.catalog()]


async def test_a_change_by_the_newer_protocol_is_subscribed_to() -> None:
    async with started(command=sdk(), allowed=ALLOWED) as tools:
        assert await names(tools, ["search", "grow", "add"]) == ["search", "grow", "add"]
        await tools.call("pond/grow", {"query": ""}, "k")
        assert await names(tools, ["search", "grow", "dive"]) == ["search", "grow", "dive"]
        result = await tools.call("pond/dive", {"query": ""}, "k")

    assert result.text == "Newts rest at the bottom."


async def test_a_change_by_the_older_protocol_is_received(tmp_path: Path) -> None:
    command = raw("grows", str(tmp_path / "notes"))
    async with started(command=command, allowed=["search", "dive"]) as tools:
        assert [tool.name for tool in tools.catalog()] == ["search"]
        await tools.call("pond/search", {"query": ""}, "k")
        assert await names(tools, ["search", "dive"]) == ["search", "dive"]


async def test_a_new_tool_that_is_not_allowed_is_not_taken(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with started(command=raw("grows", str(notes)), allowed=["search"]) as tools:
        await tools.call("pond/search", {"query": ""}, "k")
        with trio.fail_after(GUARD_S):
            while notes.read_text().count("listed") < 2:
                await trio.sleep(0.01)
        await tools.call(
            "pond/search", {"query": ""}, "k"
        )  # The server answers this after the listing.
        assert [tool.name for tool in tools.catalog()] == ["search"]


async def test_constant_changes_cause_a_bounded_rate_of_listings(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with started(command=raw("restless", str(notes)), allowed=["search"]) as tools:
        began = trio.current_time()
        for _ in range(100):
            await tools.call("pond/search", {"query": ""}, "k")
        asked = notes.read_text().count("listed")
        took = trio.current_time() - began

    assert asked <= 3 + took


@pytest.mark.parametrize("allowed", [["search", "search"], ["search", "nope", "search"]])
async def test_a_tool_that_is_allowed_twice_is_there_once(allowed: list[str]) -> None:
    async with started(command=raw("none"), allowed=allowed) as tools:
        assert [tool.name for tool in tools.catalog()] == ["search"]
