"""The command as a whole: help, version, usage, `settings` and `serve`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from actors.errors import Overloaded, leaf_errors
from web.command import main
from web.command.output import exit_code_of
from web.data_folder import hold
from web.settings.model import ServerSettings

Text = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "200")


def test_alone_it_prints_its_help(capsys: Text) -> None:
    assert main([]) == 0

    out = capsys.readouterr().out
    for name in ("serve", "run", "ingest", "search", "mcp", "settings", "TERZETTO_NAME"):
        assert name in out


@pytest.mark.parametrize("command", ["serve", "run", "ingest", "search", "mcp", "settings"])
def test_every_command_has_help_and_takes_the_common_flags(command: str, capsys: Text) -> None:
    assert main([command, "--help"]) == 0

    out = capsys.readouterr().out
    for flag in ("--data", "--config", "--set"):
        assert flag in out


def test_the_version_is_printed_without_a_parser() -> None:
    program = (
        "import sys; from web.command import main; main(['--version']); "
        "print(sorted({'cyclopts', 'rich', 'pydantic', 'trio', 'httpx'} & set(sys.modules)))"
    )

    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )

    assert out.stdout.splitlines()[1:] == ["[]"]


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "web.command", "--version"]

    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    "arguments", [["nope"], ["run"], ["run", "x", "--nope"], ["run", "x", "--deadline-s", "0"]]
)
def test_usage_errors_end_with_2(arguments: list[str], capsys: Text) -> None:
    assert main(arguments) == 2
    assert "Error" in capsys.readouterr().err


def test_settings_are_shown_with_their_origins(
    monkeypatch: pytest.MonkeyPatch, capsys: Text, tmp_path: Path
) -> None:
    monkeypatch.setenv("TERZETTO_GRACE_S", "3")

    assert main(["settings", "--data", str(tmp_path), "--set", "retry_delays_s=0,1"]) == 0

    rows = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert ["grace_s", "3.0", "environment TERZETTO_GRACE_S"] in [
        [*map(str.strip, r)] for r in rows
    ]
    assert ["data_dir", str(tmp_path), "flag --data"] in [[*map(str.strip, r)] for r in rows]
    assert ["retry_delays_s", "0.0,1.0", "flag --set"] in [[*map(str.strip, r)] for r in rows]


def test_in_a_pipe_each_setting_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Text, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    folder = tmp_path / ("long" * 40)

    assert main(["settings", "--data", str(folder)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(ServerSettings.model_fields)
    assert any(str(folder) in line and "flag --data" in line for line in lines)


def test_a_variable_that_is_no_setting_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    monkeypatch.setenv("TERZETTO_GRACE_SS", "3")

    assert main(["settings"]) == 0

    err = capsys.readouterr().err
    assert err.startswith("terzetto: The variable TERZETTO_GRACE_SS is ignored.")
    assert "Did you mean TERZETTO_GRACE_S?" in err


def test_settings_as_json_have_the_allowed_values(capsys: Text) -> None:
    assert main(["settings", "--json", "--set", "bind=99"]) == 0

    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == set(ServerSettings.model_fields)
    assert shown["bind"]["value"] == "127.0.0.1:99"
    assert shown["max_running_tasks"] == {
        "value": 256,
        "origin": "default",
        "description": "Tasks that run at the same time.",
        "allowed": "a whole number from 1 to 65,536",
    }


def test_bad_settings_end_every_command_with_2_and_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    monkeypatch.setenv("TERZETTO_GRACE_S", "soon")

    for command in (["serve"], ["run", "x"], ["search", "x"], ["mcp"], ["settings"]):
        assert main(command) == 2
        assert "TERZETTO_GRACE_S" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--set", "grace_s"], "Say NAME=VALUE"),
        (["--set", "grce_s=1"], "Did you mean grace_s?"),
        (["--config", "/nowhere/x.toml"], "There is no such file"),
    ],
)
def test_a_bad_flag_is_explained(flags: list[str], part: str, capsys: Text) -> None:
    assert main(["settings", *flags]) == 2
    assert part in capsys.readouterr().err


def test_serve_passes_the_settings_to_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = list[ServerSettings]()

    def run(settings: ServerSettings) -> int:
        given.append(settings)
        return 7

    server = ModuleType("web.server")
    server.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "web.server", server)

    flags = ["--bind", "[::1]:0", "--data", str(tmp_path), "--set", "grace_s=1"]
    assert main(["serve", *flags, "--set", "heartbeat_s=2"]) == 7

    settings = given[0]
    assert (settings.bind, settings.data_dir) == ("[::1]:0", tmp_path)
    assert (settings.grace_s, settings.heartbeat_s) == (1, 2)


def test_a_folder_in_use_ends_a_command_with_75(tmp_path: Path, capsys: Text) -> None:
    with hold(tmp_path / "data"):
        assert main(["search", "x", "--data", str(tmp_path / "data")]) == 75

    assert "Another terzetto command is using" in capsys.readouterr().err


def test_a_folder_that_cannot_be_used_ends_a_command_with_2(tmp_path: Path, capsys: Text) -> None:
    (tmp_path / "file").touch()

    assert main(["search", "x", "--data", str(tmp_path / "file")]) == 2

    assert "cannot be used" in capsys.readouterr().err


def test_models_are_printed_in_the_form_that_flags_take(
    monkeypatch: pytest.MonkeyPatch, capsys: Text, tmp_path: Path
) -> None:
    monkeypatch.setenv("TERZETTO_FALLBACK", "local,extractive")
    monkeypatch.setenv("TERZETTO_PRICES", "a=1/2.5,b=0/0")

    assert main(["settings", "--data", str(tmp_path), "--set", "model=openai:m"]) == 0

    out = capsys.readouterr().out
    for shown in (" openai:m ", " local,extractive ", " a=1.0/2.5,b=0.0/0.0 "):
        assert shown in out


@pytest.mark.parametrize("arguments", [["serve"], ["run", "x"]])
def test_a_model_is_a_flag(arguments: list[str], capsys: Text) -> None:
    assert main([*arguments, "--model", "nope"]) == 2

    err = capsys.readouterr().err
    assert "model = nope  (flag --model)" in err
    assert "Use openai:NAME" in err


def test_the_leaf_errors_of_nested_groups_come_in_order() -> None:
    first, second = ValueError("a"), KeyboardInterrupt()
    inner = BaseExceptionGroup("inner", [second])

    assert leaf_errors(BaseExceptionGroup("outer", [first, inner])) == [first, second]
    assert leaf_errors(first) == [first]


def test_an_expected_error_in_groups_of_one_becomes_an_exit_code(capsys: Text) -> None:
    def fail() -> int:
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [Overloaded("Full.")])])

    assert exit_code_of(fail) == 75
    assert capsys.readouterr().err == "terzetto: Full. [overloaded]\n"


def test_two_errors_at_once_are_raised_with_their_traceback() -> None:
    def fail() -> int:
        raise ExceptionGroup("both", [Overloaded("Full."), Overloaded("Full.")])

    with pytest.raises(ExceptionGroup):
        exit_code_of(fail)
