"""The commands as a person types them: names, arguments, flags and help.

Rule: a function here parses and delegates; the work, and what it imports, is in its own module.
"""

from __future__ import annotations

import json as jsons
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, validators

from web.command.eval.arguments import app as eval_app
from web.command.given import Given
from web.command.output import Exit, exit_code_of, say

app = App(
    name="terzetto",
    help="Complex tasks in plain words: planned, researched in your documents, and written up.",
    backend="trio",
    help_format="plaintext",
    help_epilogue=(
        "Settings come from a TOML file, then TERZETTO_NAME in the environment, then flags: "
        "see terzetto settings."
    ),
    suppress_keyboard_interrupt=False,
    version=lambda: _version(),
)

Task = Annotated[str, Parameter(allow_leading_hyphen=True)]
Json = Annotated[bool, Parameter(negative="")]
Deadline = Annotated[float | None, Parameter(validator=validators.Number(gte=1, lte=86_400))]
Limit = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=100))]


GIVEN = Given()


@app.command
def serve(*, bind: str | None = None, model: str | None = None, given: Given = GIVEN) -> int:
    """Serve the HTTP API until a signal ends it.

    Parameters
    ----------
    bind
        Address to listen at: host:port, [IPv6]:port or port; else the setting `bind`.
    model
        Language model: openai:NAME, anthropic:NAME or local; else the setting `model`.
    """
    loaded = given.load(bind, model)
    from web.server import run as run_server

    return run_server(loaded.settings)


@app.command
async def run(
    task: Task,
    /,
    *,
    deadline_s: Deadline = None,
    follow_up: str | None = None,
    model: str | None = None,
    json: Json = False,
    given: Given = GIVEN,
) -> int:
    """Run one task and show it live; the exit code says how it ended.

    Parameters
    ----------
    task
        What to do, in plain words; - reads it from stdin.
    deadline_s
        Seconds that the whole task may take.
    follow_up
        Id of a completed task that this one builds on.
    model
        Language model, as for serve; if a server runs on the data folder, that one's counts.
    json
        Print the events as NDJSON and nothing else.
    """
    settings = given.load(model=model).settings
    description = sys.stdin.read() if task == "-" else task
    if task.startswith("-") and task != "-":
        say(f"terzetto: unknown option {task}. A task that begins with a hyphen goes to stdin.")
        return Exit.USAGE
    if not description.strip():
        say("terzetto: the task is empty.")
        return Exit.USAGE
    from web.command.run.command import run_task
    from web.command.run.screens import choose_screen
    from web.command.run.view import RunView
    from web.command.services import open_service

    view = RunView()
    screen = choose_screen(view, json=json)
    opening = partial(open_service, settings)
    return await run_task(
        opening, description, screen, view, deadline_s=deadline_s, context_task_id=follow_up
    )


@app.command
async def ingest(path: str, /, *paths: str, given: Given = GIVEN) -> int:
    """Add files, folders and web pages of text, Markdown, HTML and PDF to the library.

    Parameters
    ----------
    path
        A file, a folder or a URL that begins with http:// or https://; folders are searched to
        the bottom, hidden ones passed over.
    paths
        More of them.
    """
    settings = given.load().settings
    urls = [one for one in (path, *paths) if one.lower().startswith(("http://", "https://"))]
    every = [Path(one) for one in (path, *paths) if one not in urls]
    if missing := [str(one) for one in every if not one.exists()]:
        say(f"terzetto: there is no {', '.join(missing)}.")
        return Exit.USAGE
    from web.command.ingest import ingest_sources

    return await ingest_sources(settings, every, urls)


@app.command
async def search(
    query: str, /, *, limit: Limit = 10, json: Json = False, given: Given = GIVEN
) -> int:
    """Search the library.

    Parameters
    ----------
    query
        Words to look for.
    limit
        How many passages, at most.
    json
        Print the passages as one JSON object.
    """
    settings = given.load().settings
    from web.command.services import open_service

    async with open_service(settings) as service:
        results = await service.search(query, limit)
    if json:
        print(jsons.dumps({"results": results}, ensure_ascii=False))
        return Exit.OK
    from rich.console import Console

    from web.command.search import print_results

    print_results(results, query, Console())
    if not results:
        say("Nothing in the library matches.")
    return Exit.OK


@app.command
async def mcp(*, http: str | None = None, given: Given = GIVEN) -> int:
    """Serve the Model Context Protocol to a program that starts this command, over stdin and stdout.

    Parameters
    ----------
    http
        Serve it over streamable HTTP instead, at this address: host:port, [IPv6]:port or port.
    """
    settings = given.load(http, named="--http").settings
    from web.command.mcp import serve_tools

    return await serve_tools(settings, over_http=http is not None)


@app.command
def settings(*, json: Json = False, given: Given = GIVEN) -> int:
    """Show every setting, its value and where it came from.

    Parameters
    ----------
    json
        Print one JSON object, with what each setting takes.
    """
    loaded = given.load()
    from rich.console import Console

    from web.command.settings_table import print_settings, settings_json

    if json:
        print(settings_json(loaded))
    else:
        print_settings(loaded, Console())
    return Exit.OK


app.command(eval_app)


def run_command(arguments: list[str]) -> int:
    """Parse and run; mistakes in what was typed end with 2."""
    return exit_code_of(partial(_run_command, arguments))


def _run_command(arguments: list[str]) -> int:
    try:
        code = app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return Exit.USAGE  # Cyclopts has said what is wrong.
    return code if isinstance(code, int) else Exit.OK


def _version() -> str:
    from importlib.metadata import version

    return version("terzetto")
