"""The test kit, for Terzetto's own tests and for programs that embed it or bring agents of their own.

    def test_my_agent_survives_a_crash():
        async def story():
            machine = Machine(agents={**Cast().factories(), "writer": MyWriter})
            async with machine.boot() as system:
                task = await system.create("frogs")
                await system.start(task.task_id)
                await trio.sleep(1)
                machine.kill()                             # as `kill -9` would
            async with machine.boot() as system:           # the disk has survived
                events = [event async for event in system.execute(task.task_id)]
            assert check_log(event.line() for event in events) == "completed"

        run_virtual(story, seed=1)                         # in virtual time

Rule: nothing here needs a test framework, a thread or the wall clock, and nothing outside of tests
imports it.
"""

from actors.runtime import ProcessDied
from actors.testing.check import BrokenLog, check_log
from actors.testing.check_store import check_store
from actors.testing.faults import (
    Busy,
    Delay,
    DieAfter,
    DieBefore,
    Fault,
    FaultyStore,
    Refuse,
)
from actors.testing.machine import Machine
from actors.testing.scripted import (
    HANG,
    PASSAGE,
    Act,
    Cast,
    NoLibrary,
    Script,
    ScriptedAnalyzer,
    ScriptedCrash,
    ScriptedRetriever,
    ScriptedWriter,
    Stubborn,
    plan_for,
    scripted_system,
)
from actors.testing.virtual import run_virtual, seeded_scheduler

__all__ = [
    "HANG",
    "PASSAGE",
    "Act",
    "BrokenLog",
    "Busy",
    "Cast",
    "Delay",
    "DieAfter",
    "DieBefore",
    "Fault",
    "FaultyStore",
    "Machine",
    "NoLibrary",
    "ProcessDied",
    "Refuse",
    "Script",
    "ScriptedAnalyzer",
    "ScriptedCrash",
    "ScriptedRetriever",
    "ScriptedWriter",
    "Stubborn",
    "check_log",
    "check_store",
    "plan_for",
    "run_virtual",
    "scripted_system",
    "seeded_scheduler",
]
