"""Settings in the environment: lists and tables, values from files, and what other programs put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from web.settings.problems import SettingsError
from web.settings.sources import Flag, load_settings


@pytest.fixture(autouse=True)
def _home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environment=environment)
    return str(caught.value)


LINKS = {
    "TERZETTO_SERVICE_HOST": "10.96.1.2",
    "TERZETTO_SERVICE_PORT": "8000",
    "TERZETTO_SERVICE_PORT_HTTP": "8000",
    "TERZETTO_PORT": "tcp://10.96.1.2:8000",
    "TERZETTO_PORT_8000_TCP": "tcp://10.96.1.2:8000",
    "TERZETTO_PORT_8000_TCP_PROTO": "tcp",
    "TERZETTO_PORT_8000_UDP_ADDR": "10.96.1.2",
    "TERZETTO_MODEL_SERVICE_HOST": "10.96.1.3",
    "TERZETTO_DATA_DIR_PORT": "udp://10.96.1.3:53",
}


@pytest.mark.parametrize("variable", LINKS)
def test_what_kubernetes_sets_for_a_service_is_ignored(variable: str) -> None:
    loaded = load_settings(environment={variable: LINKS[variable]})

    assert loaded.warnings == ()
    assert set(loaded.origins.values()) == {"default"}


def test_a_port_that_a_person_sets_is_a_warning() -> None:
    (warning,) = load_settings(environment={"TERZETTO_PORT": "9000"}).warnings

    assert "TERZETTO_PORT is ignored" in warning


@pytest.mark.parametrize(
    ("text", "agents"),
    [
        ("a.py:A, b.py:B", ("a.py:A", "b.py:B")),
        ('["a.py:A", "b,c.py:B"]', ("a.py:A", "b,c.py:B")),
        ("['a.py:A',]", ("a.py:A",)),
        (" [] ", ()),
    ],
)
def test_a_list_may_be_written_as_in_the_file(text: str, agents: tuple[str, ...]) -> None:
    in_environment = load_settings(environment={"TERZETTO_AGENTS": text})
    in_flag = load_settings([Flag("--set", "agents", text)], environment={})

    assert in_environment.settings.agents == in_flag.settings.agents == agents


def test_numbers_and_hosts_may_be_lists() -> None:
    environment = {
        "TERZETTO_RETRY_DELAYS_S": "[0, 0.5]",
        "TERZETTO_ALLOWED_HOSTS": "[::1],a.example",
    }

    settings = load_settings(environment=environment).settings

    assert settings.retry_delays_s == (0, 0.5)
    assert settings.allowed_hosts == ("[::1]", "a.example")


@pytest.mark.parametrize(
    "text",
    [
        '{"notes": {"command": ["server", "-x"], "env": {"TOKEN": "hush"}, "timeout_s": 5}}',
        '{notes = {command = ["server", "-x"], env = {TOKEN = "hush"}, timeout_s = 5}}',
    ],
)
def test_tables_may_be_written_as_json_or_toml(text: str) -> None:
    notes = load_settings(environment={"TERZETTO_TOOLS": text}).settings.tools["notes"]

    assert (notes.command, notes.timeout_s) == (("server", "-x"), 5)
    assert notes.env["TOKEN"].get_secret_value() == "hush"


def test_prices_may_be_json() -> None:
    prices = {"TERZETTO_PRICES": '{"openai:a": [0.25, 2]}'}

    assert load_settings(environment=prices).settings.prices == {"openai:a": (0.25, 2)}


@pytest.mark.parametrize("text", ['["a.py:A"', "[" * 100_000, '[{"a": 1}]', '{"a": 1}'])
def test_what_is_no_list_of_numbers_is_reported(text: str) -> None:
    told = refusal({"TERZETTO_RETRY_DELAYS_S": text})

    assert "retry_delays_s" in told and "separated by commas, or a list" in told


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "tools").write_text(
        '{"notes": {"command": ["server"], "env": {"TOKEN": "hush"}}}\n'
    )
    (tmp_path / "model").write_text("openai:m\n")
    (tmp_path / "empty").write_text("\n")
    environment = {
        "TERZETTO_TOOLS_FILE": str(tmp_path / "tools"),
        "TERZETTO_MODEL_FILE": str(tmp_path / "model"),
        "TERZETTO_ENCODER_FILE": str(tmp_path / "empty"),
    }

    loaded = load_settings(environment=environment)

    assert loaded.settings.tools["notes"].env["TOKEN"].get_secret_value() == "hush"
    assert loaded.settings.model == "openai:m"
    assert loaded.origins["model"] == "environment TERZETTO_MODEL_FILE"
    assert loaded.origins["encoder"] == "default"


def test_a_value_from_a_file_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush")

    for name in ("MODEL", "GRACE_S", "TOOLS", "RETRY_DELAYS_S"):
        told = refusal({f"TERZETTO_{name}_FILE": str(tmp_path / "secret")})
        assert f"TERZETTO_{name}_FILE" in told
        assert "hush" not in told


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    for place, part in (
        (tmp_path / "nowhere", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "bytes", "not UTF-8"),
        (Path("/dev/zero"), "more than 1,048,576 characters"),
    ):
        told = refusal({"TERZETTO_MODEL_FILE": str(place)})
        assert f"TERZETTO_MODEL_FILE = {place}" in told
        assert part in told


def test_a_setting_has_one_variable() -> None:
    told = refusal({"TERZETTO_MODEL": "local", "TERZETTO_MODEL_FILE": "/nowhere"})

    assert "TERZETTO_MODEL is set as well" in told


def test_a_misspelled_file_variable_is_a_warning() -> None:
    (warning,) = load_settings(environment={"TERZETTO_MODLE_FILE": "x"}).warnings

    assert "TERZETTO_MODLE_FILE is ignored" in warning
    assert "Did you mean TERZETTO_MODEL_FILE?" in warning


def test_a_home_that_is_not_there_stays_in_the_path() -> None:
    loaded = load_settings(environment={"TERZETTO_DATA_DIR": "~nobody-of-this-name/x"})

    assert loaded.settings.data_dir == Path.cwd() / "~nobody-of-this-name" / "x"
