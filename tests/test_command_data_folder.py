"""The lock of the data folder, the address of its server, and the service of a command."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from command_fakes import FakeService, answer_with

from web.client import HttpService
from web.command.services import open_service
from web.data_folder import FolderHeld, FolderLost, FolderUnusable, announce, hold, running_server
from web.settings.model import ServerSettings


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def test_only_one_holds_a_folder(tmp_path: Path) -> None:
    with hold(tmp_path / "data"), pytest.raises(FolderHeld), hold(tmp_path / "data"):
        pass
    with hold(tmp_path / "data"):
        pass


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with hold(tmp_path / "a" / "data"):
        assert mode(tmp_path / "a" / "data") == 0o700
        assert mode(tmp_path / "a" / "data" / "lock") == 0o600


def test_an_empty_folder_is_closed_and_so_is_one_that_was_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with hold(tmp_path):
        assert mode(tmp_path) == 0o700
    tmp_path.chmod(0o755)
    with hold(tmp_path):
        assert mode(tmp_path) == 0o700


def test_a_public_folder_with_other_files_is_not_changed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letter.txt").touch()

    with pytest.raises(FolderUnusable, match="a folder of its own"), hold(tmp_path):
        pass

    assert mode(tmp_path) == 0o755


def test_a_file_is_refused_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    with pytest.raises(FolderUnusable), hold(tmp_path / "data"):
        pass


def test_an_address_is_published_while_its_server_runs(tmp_path: Path) -> None:
    with hold(tmp_path):
        assert running_server(tmp_path) is None
        with announce(tmp_path, "http://127.0.0.1:1", "token"):
            assert running_server(tmp_path) == ("http://127.0.0.1:1", "token")
        assert running_server(tmp_path) is None


@pytest.mark.parametrize("left", ['{"url": "http://127.0.0.1:1", "pid": 1}', "{", "[]", "{}"])
def test_what_a_crash_left_is_removed_by_the_next_holder(tmp_path: Path, left: str) -> None:
    (tmp_path / "server.json").write_text(left)
    tmp_path.chmod(0o700)

    with hold(tmp_path):
        assert running_server(tmp_path) is None


async def test_a_free_folder_is_opened_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = answer_with(monkeypatch, FakeService())

    async with open_service(ServerSettings(data_dir=tmp_path)) as service:
        assert service is fake
        with pytest.raises(FolderHeld), hold(tmp_path):
            pass


async def test_a_servers_folder_is_reached_through_the_server(tmp_path: Path) -> None:
    with hold(tmp_path), announce(tmp_path, "http://127.0.0.1:1", "token"):
        async with open_service(ServerSettings(data_dir=tmp_path)) as service:
            assert isinstance(service, HttpService)


async def test_a_folder_held_by_another_command_is_refused(tmp_path: Path) -> None:
    with hold(tmp_path), pytest.raises(FolderHeld, match="wait for it or use --data"):
        async with open_service(ServerSettings(data_dir=tmp_path)):
            pass


def test_a_restored_backup_is_closed_to_others_and_used(tmp_path: Path) -> None:
    (tmp_path / "log.db").touch()
    (tmp_path / "library.db").touch()
    tmp_path.chmod(0o755)

    with hold(tmp_path):
        assert mode(tmp_path) == 0o700


def test_the_refusal_of_a_public_folder_says_what_to_do(tmp_path: Path) -> None:
    for name in ("log.db", "notes.txt"):
        (tmp_path / name).touch()
    tmp_path.chmod(0o755)

    with pytest.raises(FolderUnusable, match=f"chmod 700 {tmp_path}"), hold(tmp_path):
        pass


def test_the_address_of_another_server_is_not_removed(tmp_path: Path) -> None:
    with hold(tmp_path), announce(tmp_path, "http://127.0.0.1:1", "token"):
        (tmp_path / "server.json").unlink()
        (tmp_path / "server.json").write_text('{"url": "http://127.0.0.1:2"}')

    assert running_server(tmp_path) == ("http://127.0.0.1:2", "")


async def test_a_command_whose_folder_is_lost_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, FakeService())
    data = tmp_path / "data"

    with pytest.raises(ExceptionGroup) as raised, trio.fail_after(10):
        async with open_service(ServerSettings(data_dir=data)):
            data.rename(tmp_path / "elsewhere")
            await trio.sleep_forever()

    assert raised.group_contains(FolderLost, match=str(data))
