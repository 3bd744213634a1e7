"""The values of the settings, and those that they refuse."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from actors.settings import Settings
from web.settings.model import Address, ServerSettings, parse_address
from web.settings.problems import allowed


def test_a_system_without_a_folder_keeps_everything_in_memory() -> None:
    assert Settings().data_dir is None


def test_the_defaults_are_those_of_the_design() -> None:
    settings = ServerSettings()

    assert settings.retry_delays_s == (0.0, 0.1, 0.2, 0.4)
    assert (settings.max_running_tasks, settings.max_queued_tasks) == (256, 1_024)
    assert (settings.bind, settings.heartbeat_s, settings.max_body_bytes) == (
        "127.0.0.1:8000",
        15,
        1_048_576,
    )


@pytest.mark.parametrize("name", ServerSettings.model_fields)
def test_every_setting_says_what_it_is_for_and_what_it_takes(name: str) -> None:
    field = ServerSettings.model_fields[name]

    assert field.description is not None and field.description.endswith(".")
    assert allowed(field)


def test_settings_do_not_change() -> None:
    name = "grace_s"

    with pytest.raises(ValidationError):
        setattr(Settings(), name, 1.0)


@pytest.mark.parametrize(
    "values",
    [
        {"max_running_tasks": 0},
        {"retry_delays_s": (0.1, -1)},
        {"retry_delays_s": (float("inf"),)},
        {"step_timeout_s": float("nan")},
        {"retry_jitter": 1.5},
        {"surprise": 1},
    ],
)
def test_values_out_of_range_and_unknown_names_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(values)


@pytest.mark.parametrize(
    ("text", "address", "spelled"),
    [
        ("127.0.0.1:8000", Address("127.0.0.1", 8000), "127.0.0.1:8000"),
        ("8080", Address("127.0.0.1", 8080), "127.0.0.1:8080"),
        ("[::1]:0", Address("::1", 0), "[::1]:0"),
        ("my-host.local:65535", Address("my-host.local", 65_535), "my-host.local:65535"),
    ],
)
def test_an_address_has_three_forms(text: str, address: Address, spelled: str) -> None:
    assert parse_address(text) == address
    assert str(address) == spelled


@pytest.mark.parametrize("bind", ["8080", "127.0.0.1:1", "127.9.9.9:1", "[::1]:0", "localhost:80"])
def test_a_server_listens_on_loopback_addresses(bind: str) -> None:
    assert ServerSettings(bind=bind).address == parse_address(bind)


@pytest.mark.parametrize("bind", ["0.0.0.0:80", "[::]:80", "my-host.local:80", "10.0.0.1:80"])
def test_other_machines_can_reach_other_addresses(bind: str) -> None:
    assert not ServerSettings(bind=bind).address.is_loopback


@pytest.mark.parametrize(
    "text", ["", ":80", "::1:80", "[::g]:80", "host:", "host:65536", "host:-1", "a b:80", "²:80"]
)
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)
