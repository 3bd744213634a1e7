"""The files of the keys: damaged ones, and an audit log that cannot be written."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from web.access import audit
from web.access.keys import Keys
from web.access.proxies import behind_proxies
from web.api.problems import RequestProblem
from web.command import main
from web.data_folder import FolderUnusable

DAMAGE = (
    {"expires_at": "soon"},
    {"expires_at": "2026-01-01T00:00:00"},
    {"revoked_at": False},
    {"created_at": None},
    {"scope": "god"},
    {"name": 5},
    {"name": "a/b"},
    {"sha256": None},
    {"sha256": "é" * 64},
    {"sha256": ["a"]},
    {"more": "fields"},
)


def damaged(folder: Path, change: dict[str, Any]) -> None:
    """Change the first key in the file."""
    file = folder / "keys.json"
    kept = json.loads(file.read_text())
    kept["keys"][0] |= change
    file.write_text(json.dumps(kept))


@pytest.mark.parametrize("change", DAMAGE)
def test_a_damaged_file_of_keys_changes_nothing_while_it_is_in_use(
    change: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    keys = Keys(tmp_path)
    _, secret = keys.add("a", "write", None)
    damaged(tmp_path, change)

    for _ in range(3):
        keys.refresh()
    found = keys.principal(secret)

    assert found is not None and found.name == "a"
    assert [record.getMessage().count("stay in force") for record in caplog.records] == [1]
    with pytest.raises(FolderUnusable, match="cannot be read"):
        Keys(tmp_path)


def test_a_file_of_keys_that_is_whole_again_counts_again(tmp_path: Path):
    keys = Keys(tmp_path)
    _, secret = keys.add("a", "write", None)
    whole = (tmp_path / "keys.json").read_text()
    damaged(tmp_path, {"scope": "god"})
    keys.refresh()
    (tmp_path / "keys.json").write_text(whole.replace('"write"', '"read"'))
    keys.refresh()

    found = keys.principal(secret)

    assert found is not None and found.scope == "read"


def test_the_doctor_names_a_damaged_file_of_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = ["--data", str(tmp_path)]
    assert main(["keys", "add", "a", *folder]) == 0
    document = tmp_path / "a.txt"
    document.write_text("Frogs sing.")
    assert main(["ingest", str(document), *folder]) == 0
    assert main(["doctor", *folder]) == 0
    damaged(tmp_path, {"scope": "god"})
    capsys.readouterr()

    assert main(["doctor", *folder]) == 1
    out, err = capsys.readouterr()
    assert "keys.json: file: it cannot be read" in out
    assert "--repair" not in err  # A repair cannot bring the keys back.
    assert main(["doctor", "--repair", *folder]) == 1


@contextmanager
def full_audit_log(folder: Path) -> Iterator[None]:
    """An audit log on a full disk."""
    (folder / audit.FILE).symlink_to("/dev/full")
    with audit.audited(folder):
        yield


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_an_audit_log_on_a_full_disk_is_reported_once_and_in_one_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    with caplog.at_level(logging.WARNING), full_audit_log(tmp_path):
        for _ in range(3):
            audit.record("a", "127.0.0.1", "GET /tasks", 401)

    said = [r.getMessage() for r in caplog.records if r.name == audit.service_log.name]
    assert said == [f"{tmp_path / audit.FILE} cannot be written: No space left on device"]
    assert capsys.readouterr().err == ""


def forwarded(value: bytes) -> Any:
    """What is made of a `Forwarded` header of a trusted proxy."""
    scope = {"path": "/", "client": ("127.0.0.1", 1), "headers": [(b"forwarded", value)]}
    return behind_proxies(scope, [ip_network("127.0.0.1")])["client"][0]


@pytest.mark.parametrize(
    ("value", "client"),
    [
        (b"for=203.0.113.9", "203.0.113.9"),
        (b'for="[2001:db8::1]:80";proto=https;by=_x, for=127.0.0.1', "2001:db8::1"),
        (b"for=10.0.0.1,for=203.0.113.9", "203.0.113.9"),
        (b'For = "203.0.113.9:80" ; host="a\\"b,c" , ,for=127.0.0.1', "203.0.113.9"),
        (b"host=a, for=127.0.0.1", "unknown"),
        (b"", "127.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_hop_that_is_no_proxy(value: bytes, client: str):
    assert forwarded(value) == client


@pytest.mark.parametrize("value", [b'for="203.0.113.9, for=127.0.0.1', b"junk", b'for=a"b"', b"=;"])
def test_a_malformed_forwarded_header_is_refused(value: bytes):
    with pytest.raises(RequestProblem, match="RFC 7239"):
        forwarded(value)


@pytest.mark.parametrize("unit", [b"a", b'\\"', b'"\\', b" ", b"a=\t", b"a=1;", b"a=b ", b'""'])
def test_a_long_forwarded_header_takes_linear_time(unit: bytes):
    began = time.process_time()
    for head, end in ((b'"', b""), (b"for=1;", b"x"), (b"a", b'"')):
        try:
            forwarded(head + unit * (200_000 // len(unit)) + end)
        except RequestProblem:
            pass

    assert time.process_time() - began < 15  # Patterns that go back and forth take minutes.
