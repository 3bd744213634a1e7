"""The commands as they are typed: names, arguments, flags and help.

Rule: a function here parses and delegates. It imports the module that does the work when it runs,
so that every command and its help start fast. Each help text of an argument is one line, because
help keeps line breaks.
"""

from __future__ import annotations

import json as jsons
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter, UnknownOptionError, validators

from web.command.output import Exit
from web.terminal import escaped, printable, say

if TYPE_CHECKING:
    from web.settings.sources import LoadedSettings

app = App(
    name="terzetto",
    help="Run multi-step tasks: plan them, search your documents and write reports with sources.",
    backend="trio",
    help_format="plaintext",
    help_epilogue=(
        "Flags override TERZETTO_NAME in the environment, which overrides the TOML file: "
        "see terzetto settings."
    ),
    suppress_keyboard_interrupt=False,
    version=lambda: _version(),
)
STDIN = "-"
evaluation = App(name="eval", help="Measure the quality of retrieval and reports.")
app.command(evaluation)
keys = App(name="keys", help="Make, list, replace and revoke the keys of a server.")
app.command(keys)

Json = Annotated[bool, Parameter(negative="", show_default=False)]
Insecure = Annotated[bool, Parameter(negative="", show_default=False)]
TakeOver = Annotated[bool, Parameter(negative="", show_default=False)]
Scope = Literal["read", "write", "admin"]
Prune = Annotated[bool, Parameter(negative="", show_default=False)]
Repair = Annotated[bool, Parameter(negative="", show_default=False)]
Deadline = Annotated[float | None, Parameter(validator=validators.Number(gte=1, lte=86_400))]
Limit = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=100))]
Paths = Annotated[
    tuple[Path, ...], Parameter(negative="", consume_multiple=True, show_default=False)
]
Pairs = Annotated[
    tuple[str, ...],
    Parameter(name="--set", negative="", consume_multiple=False, show_default=False),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CommonFlags:
    """The flags that every command takes."""

    data: Path | None = None
    """Data folder; without it, the setting `data_dir`."""
    config: Path | None = None
    """TOML file with settings."""
    server: str | None = None
    """URL of a server elsewhere to use, with the key in TERZETTO_API_KEY."""
    set: Pairs = ()
    """Any setting as NAME=VALUE; may be given more than once."""

    def load(
        self,
        bind: str | None = None,
        model: str | None = None,
        *,
        bind_flag: str = "--bind",
        insecure: bool = False,
    ) -> LoadedSettings:
        """The settings from all sources, with these flags on top."""
        from web.settings.problems import SettingProblem, SettingsError
        from web.settings.sources import Flag, load_settings

        flags = []
        for pair in self.set:
            name, equals, value = pair.partition("=")
            if not equals:
                raise SettingsError(
                    [SettingProblem("--set", pair, "flag --set", "Say NAME=VALUE.")]
                )
            flags.append(Flag("--set", name.strip(), value))
        if self.data is not None:
            flags.append(Flag("--data", "data_dir", self.data))
        if self.server is not None:
            flags.append(Flag("--server", "server", self.server))
        if insecure:
            flags.append(Flag("--insecure", "insecure", "true"))
        if bind is not None:
            flags.append(Flag(bind_flag, "bind", bind))
        if model is not None:
            flags.append(Flag("--model", "model", model))
        loaded = load_settings(flags, config=self.config)
        for warning in loaded.warnings:
            say(f"terzetto: {warning}")
        return loaded


NO_FLAGS = CommonFlags()


@app.command
def serve(
    *,
    bind: str | None = None,
    model: str | None = None,
    insecure: Insecure = False,
    flags: CommonFlags = NO_FLAGS,
) -> int:
    """Serve the HTTP API until Ctrl-C or SIGTERM.

    Parameters
    ----------
    bind
        Address to listen on: host:port, [IPv6]:port or port; without it, the setting `bind`.
    model
        Language model: openai:NAME, anthropic:NAME or local; without it, the setting `model`.
    insecure
        Serve other machines although there are no keys: everyone may do everything.
    """
    loaded = flags.load(bind, model, insecure=insecure)
    from web.server import run as run_server

    return run_server(loaded.settings)


@app.command
async def run(
    task: str,
    /,
    *,
    deadline_s: Deadline = None,
    follow_up: str | None = None,
    model: str | None = None,
    json: Json = False,
    flags: CommonFlags = NO_FLAGS,
) -> int:
    """Run one task and show its progress and report; the exit code says how it ended.

    Parameters
    ----------
    task
        The task in plain words, or - to read it from stdin. Put -- before one that begins with a dash.
    deadline_s
        Time limit for the whole task, in seconds.
    follow_up
        Id of a completed task that this one builds on.
    model
        Language model, as for serve; ignored if a server uses the data folder.
    json
        Print only the events, as NDJSON.
    """
    settings = flags.load(model=model).settings
    description = _read_stdin() if task == STDIN else task
    if not _is_utf_8(description):
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
async def ingest(
    path: str, /, *paths: str, prune: Prune = False, flags: CommonFlags = NO_FLAGS
) -> int:
    """Add files, folders and web pages to the library.

    Hidden, ignored (.gitignore) and generated files of a folder are left out, unless they are named.
    When a folder is ingested again, documents whose files are gone are removed, if they are at most
    half of its documents.

    Parameters
    ----------
    path
        A file, a folder or an http(s) URL.
    paths
        More of them.
    prune
        Remove the documents whose files are gone, however many they are.
    """
    settings = flags.load().settings
    urls = [one for one in (path, *paths) if one.lower().startswith(("http://", "https://"))]
    every = [Path(one) for one in (path, *paths) if one not in urls]
    from web.command.ingest import ingest_sources

    return await ingest_sources(settings, every, urls, prune=prune)


@app.command
async def search(
    query: str, /, *, limit: Limit = 10, json: Json = False, flags: CommonFlags = NO_FLAGS
) -> int:
    """Search the library.

    Parameters
    ----------
    query
        Words to search for.
    limit
        Maximum number of passages.
    json
        Print one JSON object.
    """
    settings = flags.load().settings
    if not _is_utf_8(query):
        return Exit.USAGE
    from web.command.services import open_service
    from web.signals import stopped_by_signals

    async with stopped_by_signals(), open_service(settings) as service:
        results = await service.search(query, limit)
    if json:
        print(escaped(jsons.dumps({"results": results}, ensure_ascii=False)))
        return Exit.OK
    from web.command.console import open_console
    from web.command.search import print_results

    print_results(results, query, open_console())
    if not results:
        say("Nothing in the library matches.")
    return Exit.OK


@app.command
async def doctor(
    *, repair: Repair = False, json: Json = False, flags: CommonFlags = NO_FLAGS
) -> int:
    """Find what is damaged in the data folder; the exit code is 1 if anything is.

    A server that uses the folder is not disturbed.

    Parameters
    ----------
    repair
        Set damaged tasks and documents aside, and make the indexes again; no server may run.
    json
        Print one JSON object.
    """
    settings = flags.load().settings
    from web.command.doctor import examine_folder

    return await examine_folder(settings.data_dir, repair=repair, as_json=json)


@app.command
async def mcp(
    *, http: str | None = None, insecure: Insecure = False, flags: CommonFlags = NO_FLAGS
) -> int:
    """Serve the Model Context Protocol (MCP) over stdin and stdout, or over HTTP.

    Parameters
    ----------
    http
        Serve streamable HTTP at this address instead: host:port, [IPv6]:port or port.
    insecure
        Serve other machines although there are no keys: everyone may do everything.
    """
    settings = flags.load(http, bind_flag="--http", insecure=insecure).settings
    from actors.errors import ExtraMissing
    from web.command.services import open_service

    try:
        from web.mcp.server import serve_mcp
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] in ("actors", "web"):
            raise
        raise ExtraMissing("mcp", "terzetto mcp") from None
    return await serve_mcp(partial(open_service, settings), settings if http is not None else None)


@app.command
def settings(*, json: Json = False, flags: CommonFlags = NO_FLAGS) -> int:
    """Show every setting, its value and its origin.

    Parameters
    ----------
    json
        Print one JSON object, with the allowed values of each setting.
    """
    loaded = flags.load()
    from web.command.console import open_console
    from web.command.settings_table import print_settings, settings_json

    if json:
        print(escaped(settings_json(loaded)))
    else:
        print_settings(loaded, open_console())
    return Exit.OK


@keys.command
async def add(
    name: str,
    /,
    *,
    scope: Scope = "write",
    expires: str | None = None,
    take_over: TakeOver = False,
    json: Json = False,
    flags: CommonFlags = NO_FLAGS,
) -> int:
    """Make a key and show it, once.

    Parameters
    ----------
    name
        Whose key it is; tasks belong to this name.
    scope
        read: look; write: also run tasks and add documents; admin: everything, of every key.
    expires
        When it ends: 90d, 12h, 30m or 2w from now; without it, never.
    take_over
        Give the tasks and documents of a revoked key of this name to the new one.
    json
        Print one JSON object with name, key, scope and expires_at.
    """
    from web.command.keys import open_keys, print_made

    async with open_keys(flags.load().settings) as service:
        made = await service.add(name, scope, expires, take_over)
    print_made(made, as_json=json)
    return Exit.OK


@keys.command(name="list")
async def list_keys(*, json: Json = False, flags: CommonFlags = NO_FLAGS) -> int:
    """List the keys, also those that were revoked or have expired.

    Parameters
    ----------
    json
        Print one JSON object.
    """
    from rich.console import Console

    from web.command.keys import open_keys, print_keys

    async with open_keys(flags.load().settings) as service:
        found = await service.all()
    print_keys(found, Console(), as_json=json)
    return Exit.OK


@keys.command
async def revoke(name: str, /, *, json: Json = False, flags: CommonFlags = NO_FLAGS) -> int:
    """End a key at once; its tasks are kept.

    Parameters
    ----------
    name
        Whose key it is.
    json
        Print one JSON object.
    """
    from web.command.keys import open_keys, print_revoked

    async with open_keys(flags.load().settings) as service:
        revoked = await service.revoke(name)
    print_revoked(revoked, as_json=json)
    return Exit.OK


@keys.command
async def rotate(name: str, /, *, json: Json = False, flags: CommonFlags = NO_FLAGS) -> int:
    """Replace a key by a new one of the same name and scope, and show it, once.

    Parameters
    ----------
    name
        Whose key it is.
    json
        Print one JSON object with name, key, scope and expires_at.
    """
    from web.command.keys import open_keys, print_made

    async with open_keys(flags.load().settings) as service:
        made = await service.rotate(name)
    print_made(made, as_json=json)
    return Exit.OK


@evaluation.command
async def retrieval(
    *,
    queries: Path,
    judgements: Path,
    documents: Paths = (),
    json: Json = False,
    flags: CommonFlags = NO_FLAGS,
) -> int:
    """Measure search against relevance judgements: nDCG@10, recall@50 and MRR of each ranker.

    Without --documents, your library is measured, and a judged id is the id,
    the source or the title of a document.

    Parameters
    ----------
    queries
        Queries: BEIR's queries.jsonl, TREC's topics, or lines of an id, a tab and a query.
    judgements
        Judgements (qrels) in the format of TREC or BEIR.
    documents
        Collections: BEIR's corpus.jsonl or TREC's <DOC> files.
    json
        Print one JSON object.
    """
    settings = flags.load().settings
    from actors.library.encoders.encoder import encoder_loader
    from web.command.eval.retrieval import evaluate_files
    from web.signals import stopped_by_signals

    encoder = encoder_loader(settings.encoder, settings.encoder_model)
    async with stopped_by_signals():
        found = await evaluate_files(settings.data_dir, queries, judgements, documents, encoder)
    print(escaped(found.as_json()) if json else printable(found.as_table()))
    if found.left_out:
        say(f"Queries left out because no document is judged relevant: {found.left_out}.")
    if found.unasked:
        say(f"Judged queries that are not among the queries: {found.unasked}.")
    if found.unknown:
        say(f"Judged documents that are not in the library: {found.unknown}.")
    if "encoder" not in found.rankers:
        say("Only BM25 was measured. For meaning, too, set an encoder: --set encoder=NAME")
    return Exit.OK


@evaluation.command
async def answers(
    file: Path,
    /,
    *,
    documents: Paths = (),
    show: str | None = None,
    json: Json = False,
    flags: CommonFlags = NO_FLAGS,
) -> int:
    """Measure plans and reports on tasks with known good answers.

    FILE has a task on each line, as JSON with id, task, points, and optionally
    forbidden and topics. Each of the last three is a list of lists of wordings:
    phrases or /regular expressions/.

    Measures for each task and for all: how it ended; the topics that the plan
    names, and needless questions; points made and forbidden claims; statements
    with a citation, citations that count, statements that their sources
    support; seconds. Support is measured by shared words, which is only an
    estimate: check a task with --show.

    Parameters
    ----------
    file
        Tasks, one JSON object on each line.
    documents
        Files and folders to search instead of your library.
    show
        Run only the task with this id, and show all its measures and its report.
    json
        Print one JSON object.
    """
    settings = flags.load().settings
    from web.command.console import open_console
    from web.command.eval.answers import evaluate_task_file
    from web.command.eval.answers_screen import as_json, print_table, print_task
    from web.signals import stopped_by_signals

    async with stopped_by_signals():
        found = await evaluate_task_file(settings, file, documents, show)
    if json:
        print(escaped(as_json(found, in_full=show is not None)))
    elif show is not None:
        print_task(found.tasks[0], open_console())
    else:
        print_table(found, open_console())
    return Exit.OK


def run_command(arguments: list[str]) -> int:
    """Parse the arguments and run the command. Usage errors return 2."""
    try:
        code = app(_stdin_last(arguments), exit_on_error=False, result_action="return_value")
    except UnknownOptionError:
        say("Put -- before a task, query or file that begins with a dash.")
        return Exit.USAGE
    except CycloptsError:
        return Exit.USAGE  # Cyclopts has printed the error.
    return code if isinstance(code, int) else Exit.OK


def _stdin_last(arguments: list[str]) -> list[str]:
    """The arguments with a - that stands for stdin at the end, as Cyclopts takes it for an option."""
    if "--" in arguments or STDIN not in arguments:
        return arguments
    return [*(one for one in arguments if one != STDIN), "--", STDIN]


def _read_stdin() -> str:
    """A task from stdin, no longer than is needed to see that it is too long."""
    from actors.tasks.limits import MAX_DESCRIPTION

    return sys.stdin.read(MAX_DESCRIPTION + 1)


def _is_utf_8(text: str) -> bool:
    """Whether it was UTF-8 on the command line or on stdin; else it has surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        say("terzetto: this text is not UTF-8.")
        return False
    return True


def _version() -> str:
    from importlib.metadata import version

    return version("terzetto")
