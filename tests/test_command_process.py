"""A command as a process: signals at any moment, and streams that cannot be written."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from actors import Settings, open_system

RUN = "import sys; from web.command import main; sys.exit(main())"
TERZETTO = [sys.executable, "-P", "-c", RUN]
"""As the installed command, which imports nothing from the working folder (-P)."""
HANG_S = 40.0
SLEEPER = """
import trio
from pydantic import BaseModel

class Asks(BaseModel):
    text: str

class Mine:
    name, does, asks = "sleeper", "Sleeps.", Asks

    async def handle(self, request, about):
        await trio.sleep(3_600)
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags that give a command an empty data folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    return ["--data", str(tmp_path / "data")]


@contextmanager
def started(*arguments: str, **how: object) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs; it is killed at the end if it still does."""
    given = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([*TERZETTO, *arguments], **{**given, **how})  # type: ignore[call-overload]
    with process:
        try:
            yield process
        finally:
            process.kill()


def ended(*arguments: str, **how: object) -> tuple[int, str]:
    """The exit code of a command and what it said on stderr."""
    with started(*arguments, **how) as process:
        _, err = process.communicate(timeout=HANG_S)
        return process.returncode, (err or b"").decode()


COMMANDS = [
    ["--help"],
    ["run", "--help"],
    ["--version"],
    ["settings"],
    ["settings", "--json"],
    ["search", "--json", "frogs"],
    ["run", "Frogs?"],
    ["run", "--json", "Frogs?"],
    ["ingest", __file__],
]


def flags_of(command: list[str], data: list[str]) -> list[str]:
    return [] if command[-1] in ("--help", "--version") else data


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", [False, True])
def test_output_to_a_full_disk_is_one_sentence(
    command: list[str], unbuffered: bool, data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if unbuffered:
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    with open("/dev/full", "wb") as full:
        code, err = ended(*command, *flags_of(command, data), stdout=full)

    assert code == 1
    said = "terzetto: the output cannot be written: No space left on device."
    assert err.splitlines()[-1] == said
    assert "Traceback" not in err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_output_to_a_closed_pipe_ends_quietly(command: list[str], data: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        code, err = ended(*command, *flags_of(command, data), stdout=write)
    finally:
        os.close(write)

    assert code == 141
    assert "terzetto:" not in err and "Traceback" not in err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_messages_to_a_full_disk_change_nothing(command: list[str], data: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        code, _ = ended(*command, *flags_of(command, data), stderr=full)

    assert code == 0


@pytest.mark.parametrize("command", [["settings"], ["search", "frogs"], ["run", "Frogs?"]])
def test_closed_streams_are_no_files_of_the_library(command: list[str], data: list[str]) -> None:
    shell = 'exec "$@" <&- >&- 2>&-'
    closed = ["sh", "-c", shell, "sh", *TERZETTO, *command, *data]

    assert subprocess.run(closed, check=False, timeout=HANG_S).returncode == 0


@pytest.mark.parametrize(
    "module", ["actors.errors", "web.terminal", "cyclopts", "trio", "actors.system"]
)
@pytest.mark.parametrize("command", [["search", "frogs"], ["run", "Frogs?"], ["ingest", "."]])
def test_ctrl_c_during_the_imports_ends_quietly(
    command: list[str], module: str, data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    with started(*command, *data) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.decode().rstrip().endswith(f" {module}"):
                process.send_signal(signal.SIGINT)
                break
        err = process.stderr.read().decode()
        code = process.wait(HANG_S)

    assert code in (-signal.SIGINT, 130)
    assert "Traceback" not in err


def wait_until(process: subprocess.Popen[bytes], part: str) -> list[str]:
    """The lines on stderr up to that one."""
    lines = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line.decode())
        if part in lines[-1]:
            return lines
    raise AssertionError(lines)


@pytest.fixture
def sleeper(tmp_path: Path) -> list[str]:
    """Flags that add an agent which does not answer."""
    (tmp_path / "agents.py").write_text(SLEEPER)
    return ["--set", f"agents={tmp_path / 'agents.py'}:Mine"]


def cancelled(data: list[str]) -> int:
    """How many tasks of a data folder are cancelled."""

    async def count() -> int:
        async with open_system(Settings(data_dir=Path(data[1]))) as system:
            return len((await system.tasks(status="cancelled")).tasks)

    return trio.run(count)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_run_cancels_the_task(
    signum: signal.Signals, data: list[str], sleeper: list[str]
) -> None:
    with started("run", "Frogs?", *data, *sleeper) as process:
        wait_until(process, "retrieval")
        process.send_signal(signum)
        _, err = process.communicate(timeout=HANG_S)

    assert process.returncode == 128 + signum
    assert "Cancelled" in err.decode() and "Traceback" not in err.decode()
    assert cancelled(data) == 1


def in_a_terminal(terminal: int) -> Callable[[], None]:
    def begin() -> None:
        os.setsid()
        os.close(os.open(os.ttyname(terminal), os.O_RDWR))  # It becomes the controlling terminal.

    return begin


def test_a_terminal_that_is_closed_cancels_the_task_of_run(
    data: list[str], sleeper: list[str]
) -> None:
    ours, theirs = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    with started(
        "run", "Frogs?", *data, *sleeper, **streams, preexec_fn=in_a_terminal(theirs)
    ) as process:
        os.close(theirs)
        shown = b""
        while b"retrieval" not in shown:
            shown += os.read(ours, 65_536)
        os.close(ours)
        process.wait(HANG_S)

    assert cancelled(data) == 1


def test_a_closed_terminal_drains_the_server(data: list[str]) -> None:
    with started("serve", "--bind", "127.0.0.1:0", *data, "--set", "grace_s=30") as process:
        wait_until(process, "listens at")
        process.send_signal(signal.SIGHUP)
        wait_until(process, "Terzetto stops")
        _, err = process.communicate(timeout=HANG_S)

    assert process.returncode == 0, err


def test_under_nohup_the_server_goes_on(data: list[str]) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with started("serve", "--bind", "127.0.0.1:0", *data, preexec_fn=ignore) as process:
        wait_until(process, "listens at")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=HANG_S)

    assert process.returncode == 0
    assert err.decode().count("Terzetto stops") == 1


@pytest.mark.parametrize("flag", ["--bind", "--http"])
def test_a_port_in_use_is_one_sentence(flag: str, data: list[str]) -> None:
    if flag == "--http":
        pytest.importorskip("mcp")
    command = "serve" if flag == "--bind" else "mcp"
    with started("serve", "--bind", "127.0.0.1:0", "--data", f"{data[1]}-other") as other:
        said = wait_until(other, "listens at")[-1]
        address = said.split("http://")[1].split()[0]
        code, err = ended(command, flag, address, *data)

    assert code == 1
    assert err == (
        f"terzetto: Cannot listen at {address}: Another program uses this address. "
        "End it, or choose another port.\n"
    )


def test_a_working_folder_that_is_gone_is_one_sentence(data: list[str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    code, err = ended("search", "x", "--data", "here", cwd=gone, preexec_fn=gone.rmdir)

    assert (code, err) == (1, "terzetto: the working folder has been removed.\n")


def test_no_control_character_of_a_document_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "import logging; from web.terminal import log_to_terminal; log_to_terminal(logging.INFO); "
        r"logging.getLogger('x').error('%s', '\x1b[31mred\x9b2J')"
    )

    subprocess.run([sys.executable, "-c", program], check=True, timeout=HANG_S)

    assert capfd.readouterr().err == "ERROR x: [31mred2J\n"
