"""A tool server made with the SDK: `python mcp_sdk_server.py FILE` records its calls in FILE."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Literal

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

journal = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(os.devnull)
server = MCPServer("library", log_level="ERROR")


def note(line: str) -> None:
    with journal.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


@server.tool()
def search(query: str) -> str:
    """Search the library for words."""
    return f"Found on {query}: frogs live in ponds and on land.\n\nToads prefer dry places."


@server.tool()
def add(a: int, b: int) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


@server.tool()
def habitat(animal: Literal["frog", "toad"], depth_m: int) -> str:
    """Where an animal lives in the pond, at a depth in metres."""
    note(f"habitat {animal} {depth_m}")
    return f"At {depth_m} metres the {animal} lives between water lilies and reeds."


@server.tool(structured_output=False)
def picture(query: str) -> list[Any]:
    """A picture and a caption."""
    return [Image(data=b"\x89PNG", format="png"), "A caption for a frog."]


@server.tool()
def key(query: str, ctx: Context) -> str:
    """What stands in the request beside the arguments, and in the environment."""
    meta = ctx.request_context.meta or {}
    return f"{meta.get('terzetto/idempotency-key')} {os.environ.get('TOKEN')} {os.environ.get('SECRET')}"


@server.tool()
def broken(query: str) -> str:
    """Always fails."""
    raise ToolError(f"no index for {query}")


@server.tool()
def describe(path: str) -> str:
    """Describes a file of the library."""
    return f"{path} is about frogs."


@server.tool()
def huge(query: str) -> str:
    """Far more than anybody wants."""
    return "frogs and toads " * 20_000


def dive(query: str) -> str:
    """Look below the surface; it is not there from the beginning."""
    return "Newts rest at the bottom."


@server.tool()
async def grow(query: str, ctx: Context) -> str:
    """Add a tool, remove another one, and notify the clients."""
    server.add_tool(dive)
    server.remove_tool("add")
    await ctx.notify_tools_changed()
    return "grown"


@server.tool()
async def slow(query: str) -> str:
    """Never answers."""
    note("slow began")
    try:
        await anyio.sleep_forever()
    finally:
        note("slow was cancelled")
    return ""


if __name__ == "__main__":
    server.run()
