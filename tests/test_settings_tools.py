"""The tables [tools.NAME]: their values, their problems, and no secret in either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from web.command import main
from web.settings.problems import SettingsError
from web.settings.sources import load_settings

GOOD = """
[tools.notes]
command = ["notes-server", "--stdio"]
env = { TOKEN = "hush" }
allowed = ["search"]
timeout_s = 5

[tools.web]
url = "http://127.0.0.1:9/mcp"
headers = { Authorization = "Bearer hush" }
when = ["frogs"]
"""


def write(tmp_path: Path, toml: str) -> Path:
    file = tmp_path / "given.toml"
    file.write_text(toml, encoding="utf-8")
    return file


def test_a_table_is_a_tool_server_and_allows_no_tool_unless_it_says_so(tmp_path: Path) -> None:
    tools = load_settings(config=write(tmp_path, GOOD), environment={}).settings.tools

    assert list(tools) == ["notes", "web"]
    notes, web = tools.values()
    assert (notes.command, notes.allowed) == (("notes-server", "--stdio"), ("search",))
    assert (notes.timeout_s, notes.max_result_bytes, notes.concurrency) == (5, 65_536, 4)
    assert notes.env["TOKEN"].get_secret_value() == "hush"
    assert (web.url, web.allowed, web.when) == ("http://127.0.0.1:9/mcp", (), ("frogs",))
    assert web.headers["Authorization"].get_secret_value() == "Bearer hush"
    assert "hush" not in repr(tools)


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("[tools.a]\n", ["tools.a", "Say either command"]),
        ('[tools.a]\ncommand = ["x"]\nurl = "http://x"\n', ["tools.a", "Say either command"]),
        ('[tools.a]\nurl = "http://x"\nenv = {A = "b"}\n', ["tools.a", "wants a command"]),
        ('[tools.a]\ncommand = ["x"]\nheaders = {A = "b"}\n', ["tools.a", "want a url"]),
        ('[tools.a]\nurl = "http://x"\nheaders = {"a b" = "c"}\n', ["'a b' is no name"]),
        ('[tools.a]\nurl = "http://x"\nheaders = {HOST = "c"}\n', ["HOST is set by"]),
        ('[tools.a]\nurl = "http://x"\nheaders = {Mcp-Session-Id = "c"}\n', ["is set by"]),
        ('[tools.a]\nurl = "http://x"\nheaders = "b"\n', ["tools.a.headers", "Headers that are"]),
        ('[tools.a]\nurl = "http://x"\nwhen = "price"\n', ["tools.a.when = price", "Words of"]),
        ('[tools.a]\nurl = "x"\n', ["tools.a.url = x", "over HTTP"]),
        ('[tools.a]\nurl = "http://x"\ntimeout_s = 0\n', ["tools.a.timeout_s = 0", "from 0.1 to"]),
        ('[tools.a]\nurl = "http://x"\nconcurrency = true\n', ["tools.a.concurrency", "from 1 to"]),
        ('[tools.a]\ncomand = ["x"]\n', ["tools.a.comand", "Did you mean command?"]),
        ('[tools.a]\ncommand = "x"\n', ["tools.a.command = x", "Program and arguments"]),
        ('[tools."a/b"]\nurl = "http://x"\n', ["tools.a/b", "letters, digits"]),
        ("tools = 3\n", ["tools = 3", "[tools.NAME]"]),
        ("[tools]\na = 3\n", ["tools.a", "[tools.NAME]"]),
    ],
)
def test_a_problem_names_its_table(tmp_path: Path, toml: str, parts: list[str]) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(config=write(tmp_path, toml), environment={})

    for part in parts:
        assert part in str(raised.value)
    assert str(tmp_path) in str(raised.value)


def test_no_secret_is_reported_or_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    good = str(write(tmp_path, GOOD))
    assert main(["settings", "--config", good]) == 0
    assert main(["settings", "--json", "--config", good]) == 0
    shown = capsys.readouterr().out

    command, url = 'command = ["x"]', 'url = "http://x"'
    for bad in (
        f'{command}\nenv = {{TOKEN = ["hush"]}}',
        f'{command}\nenv = {{TOKEN = "hush"}}\ntimeout_s = 0',
        f'{url}\nheaders = {{Authorization = ["hush"]}}',
        f'{url}\nheaders = {{Authorization = "hush", "a b" = "c"}}',
        'url = "http://me:hush@127.0.0.1/mcp"',
    ):
        toml = f"[tools.a]\n{bad}\n"
        assert main(["settings", "--config", str(write(tmp_path, toml))]) == 2
    told = capsys.readouterr().err

    assert "notes,web" in shown
    assert json.loads(shown[shown.index("{") :])["tools"]["value"]["notes"]["env"] == ["TOKEN"]
    assert json.loads(shown[shown.index("{") :])["tools"]["value"]["web"]["headers"] == [
        "Authorization"
    ]
    assert "tools.a" in told
    assert "hush" not in shown + told


def test_a_text_is_no_table() -> None:
    with pytest.raises(SettingsError, match=r"tools = x[\s\S]*\[tools.NAME\] in the TOML file"):
        load_settings(environment={"TERZETTO_TOOLS": "x"})


def test_no_secret_of_a_broken_table_is_reported() -> None:
    with pytest.raises(SettingsError, match="TERZETTO_TOOLS") as raised:
        load_settings(environment={"TERZETTO_TOOLS": '{"a": {"env": {"TOKEN": "hush"}'})

    assert "hush" not in str(raised.value)
