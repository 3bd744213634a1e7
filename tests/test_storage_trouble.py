"""A disk that is full for a while, or broken: no answer is wrong, and the tasks go on."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import trio
from scripted import Cast, scripted_system
from test_server_process import START_S, running

from actors.errors import ActorError, StorageUnavailable
from actors.journal.log import Append, Position
from actors.journal.memory import MemoryStore
from actors.journal.sqlite import open_sqlite_store

FULL = "The disk, a quota or a size limit is full: there is no room left for the log."


class SmallDisk(MemoryStore):
    """Refuses every append while it is `full`."""

    full = False

    async def append(self, group: Sequence[Append]) -> list[Position | ActorError]:
        if self.full:
            await trio.lowlevel.checkpoint()
            raise StorageUnavailable("There is no room left for the log.")
        return await super().append(group)


async def test_a_run_stops_without_an_ending_and_goes_on_when_there_is_room(
    autojump_clock: object,
) -> None:
    disk = SmallDisk()
    cast = Cast(retrieves=[5.0, 5.0])
    async with scripted_system(cast, store=disk) as system:
        task_id = (await system.create("frogs")).task_id
        await system.start(task_id)
        await trio.sleep(1)
        follower = await system.follow(task_id)
        disk.full = True
        pieces = [piece async for piece in follower]
        assert follower.closing is not None and follower.closing.reason == "storage"
        assert follower.closing.resume_after == pieces[-1].last_seq
        await trio.sleep(20)
        assert (await system.status(task_id)).status == "executing"
        assert cast.working == 0
        disk.full = False
        log = [event async for event in system.execute(task_id)]
    assert log[-1].event_type == "task_completed"
    assert [e.data["reason"] for e in log if e.event_type == "task_resumed"] == ["restart"]
    assert len(cast.plans.keys) == 1


async def test_writes_are_refused_and_reads_answered(autojump_clock: object) -> None:
    disk = SmallDisk()
    async with scripted_system(Cast(plans=[100.0]), store=disk) as system:
        pending = (await system.create("frogs")).task_id
        queued = (await system.create("toads")).task_id
        await system.start(queued)
        disk.full = True
        with pytest.raises(StorageUnavailable):
            await system.create("newts")
        with pytest.raises(StorageUnavailable):
            await system.start(pending)
        with pytest.raises(StorageUnavailable):
            await system.cancel(pending)
        with pytest.raises(StorageUnavailable):
            await system.cancel(queued)
        assert (await system.status(pending)).status == "pending"
        assert system.gauges()["pending_tasks"] == 1
        disk.full = False
        await trio.sleep(10)
        assert (await system.cancel(pending)).status == "cancelled"
        assert (await system.create("newts")).status == "pending"
        assert [e.event_type async for e in system.execute(queued)][-1] == "task_completed"
        assert system.gauges()["pending_tasks"] == 1
        assert system.gauges()["running_tasks"] == system.gauges()["queued_tasks"] == 0


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.5, 2.5, 3.5, 4.5])
async def test_at_whatever_moment_the_disk_fills_up_no_finished_step_runs_again(
    seconds: float, autojump_clock: object
) -> None:
    disk = SmallDisk()
    cast = Cast(plans=[1.0], retrieves=[1.0, 1.0], weighs=[1.0], pause_s=1)
    async with scripted_system(cast, store=disk) as system:
        task_id = (await system.create("frogs")).task_id
        await system.start(task_id)
        await trio.sleep(seconds)
        disk.full = True
        await trio.sleep(30)
        disk.full = False
        log = [event async for event in system.execute(task_id)]
    done = [e.data["step_id"] for e in log if e.event_type == "step_completed"]
    assert sorted(done) == ["s1", "s2", "s3", "s4", "s5"]
    assert log[-1].event_type == "task_completed"
    assert [event.seq for event in log] == list(range(1, len(log) + 1))


def test_on_a_file_system_that_is_full_for_a_while(tmp_path: Path) -> None:
    private = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = 'mount -t tmpfs -o size=2m none "$0"'
    tried = [*private, mount, str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run(tried, check=False).returncode:
        pytest.skip("no file system can be mounted here, not even a private one")
    script = Path(__file__).with_name("small_disk.py")
    command = [
        *private,
        f'{mount} && exec "$1" "$2" "$0"',
        str(tmp_path),
        sys.executable,
        str(script),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert ran.stdout.splitlines() == [FULL, "completed"], ran.stderr


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit, which Linux has")
async def test_files_that_may_not_grow_are_met_like_a_full_disk(tmp_path: Path) -> None:
    async with running(tmp_path) as server, httpx.AsyncClient(base_url=server.url) as http:
        pid, frogs = server.process.pid, {"task_description": "frogs"}
        assert (await http.get("/readyz")).status_code == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
        for path, body in (("/tasks", frogs), ("/readyz", None)):
            refused = await http.request("POST" if body else "GET", path, json=body)
            assert refused.status_code == 503
            assert refused.json()["code"] == "storage_unavailable"
            assert "no room left for the log" in refused.json()["detail"]
        document = await http.post("/documents", content=b"A frog.")
        assert document.json()["code"] == "storage_unavailable"
        assert (await http.get("/tasks")).status_code == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (-1, resource.RLIM_INFINITY))
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.post("/tasks", json=frogs)).status_code == 201
        assert (await http.post("/documents", content=b"A frog.")).status_code == 201


BREAKER = """
import os
from pathlib import Path
from pydantic import BaseModel

class Asks(BaseModel):
    product: str

class Breaker:
    name, does, asks, when = "breaker", "Breaks the disk.", Asks, ("disk",)

    async def handle(self, request, about):
        broken, _ = os.pipe()  # Nothing can be written at a place of a pipe.
        for one in Path("/proc/self/fd").iterdir():
            if one.is_symlink() and os.readlink(one).endswith("log.db-wal"):
                os.dup2(broken, int(one.name))
        return "It is broken."
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, which Linux has")
async def test_a_broken_disk_ends_the_server_with_one_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "breaker.py").write_text(BREAKER)
    data = tmp_path / "data"
    agents = f"agents={tmp_path}/breaker.py:Breaker"
    async with running(data, "--set", agents) as server:
        async with httpx.AsyncClient(base_url=server.url) as http:
            created = await http.post("/tasks", json={"task_description": "What of the disk?"})
            with suppress(httpx.TransportError):
                await http.post(f"/tasks/{created.json()['task_id']}/execute")
            with trio.fail_after(START_S):
                assert await server.process.wait() == 1
    sentences = [line for line in server.said if line.startswith("terzetto:")]
    assert len(sentences) == 1
    assert "log.db cannot be written any more (disk I/O error)" in sentences[0]
    async with open_sqlite_store(data / "log.db") as store:
        assert await store.counts("executing") == {None: 1}


@pytest.mark.parametrize("lost", [".", "lock", "server.json", "log.db", "library.db-wal"])
async def test_a_server_whose_folder_is_lost_ends_and_says_so(lost: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running(data) as server:
        (data / lost).rename(tmp_path / "elsewhere")
        if lost == "lock":
            (data / lost).touch()  # Replaced is lost, too.
        if lost == "server.json":
            (data / lost).write_text("{}")
        with trio.fail_after(START_S):
            assert await server.process.wait() == 1
    (sentence,) = [line for line in server.said if line.startswith("terzetto:")]
    assert str(data / lost) in sentence and "was removed or replaced" in sentence
    assert not any("Traceback" in line for line in server.said)
    if lost == "server.json":
        assert (data / lost).read_text() == "{}"


async def test_starting_on_a_full_disk_says_that_it_is_full(tmp_path: Path) -> None:
    limit = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9));"
    run = "from web.command import main; sys.exit(main(sys.argv[1:]))"
    for command in (["serve", "--bind", "127.0.0.1:0"], ["search", "frogs"], ["run", "frogs"]):
        ran = await trio.run_process(
            [sys.executable, "-c", limit + run, *command, "--data", str(tmp_path / command[0])],
            capture_stderr=True,
            check=False,
        )
        assert ran.returncode != 0
        said = ran.stderr.decode()
        assert " is full" in said and len(said.splitlines()) == 1, said
