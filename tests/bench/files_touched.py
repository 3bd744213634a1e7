"""How many files does one execute request go through, from the socket to the log and back?

    python tests/bench/files_touched.py

The real server in this process with the SQLite log. Prints each file of `actors` and `web` with a
line executed between the first byte of POST /tasks/{id}/execute and the last byte of its answer, and
their number. Imports, the start, the client and an equal request before it do not count.

- queued:   `Prefer: respond-async` while the only slot is taken: from the socket to the log and back
- streamed: a whole task with scripted agents, and its stream to the end
- agents:   the same with the real agents and the sample library
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))


class Touched:
    """Counts the functions entered per file of ours, in every thread."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __call__(self, frame: FrameType, event: str, _arg: object) -> Callable[..., Any] | None:
        if event == "call" and frame.f_code.co_name != "<module>":
            self.calls[frame.f_code.co_filename] += 1
        return None

    def start(self) -> None:
        """From now on every function entered or resumed counts."""
        in_all_threads = getattr(threading, "setprofile_all_threads", threading.setprofile)
        in_all_threads(self)  # Before Python 3.12 this is for threads that start later only.
        sys.setprofile(self)

    def stop(self) -> None:
        """From now on none does."""
        sys.setprofile(None)
        threading.setprofile(None)

    def files(self) -> dict[str, int]:
        """The calls by file of `actors` and `web`, relative to the top of the tree."""
        folders = (str(ROOT / "actors"), str(ROOT / "web"))
        ours = {file: count for file, count in self.calls.items() if file.startswith(folders)}
        fakes = str(ROOT / "actors" / "testing")
        found = [file for file in sorted(ours) if not file.startswith(fakes)]
        return {str(Path(file).relative_to(ROOT)): ours[file] for file in found}


async def executed(kind: str, folder: Path) -> dict[str, int]:
    """The files that one execute request of a new task touches."""
    from conftest import serving
    from scripted import HANG, Cast, NoLibrary

    from actors.settings import Settings
    from actors.system import open_system

    settings = Settings(data_dir=folder, max_running_tasks=1 if kind == "queued" else 8)
    fakes: dict[str, Any] = {}
    if kind != "agents":
        cast = Cast(plans=[HANG] if kind == "queued" else [])
        fakes = {"agents": cast.factories(), "library": NoLibrary()}
    touched = Touched()
    async with open_system(settings, **fakes) as system, serving(system) as http:

        async def created() -> str:
            new = {"task_description": "What is structured concurrency?"}
            return str((await http.post("/tasks", json=new)).json()["task_id"])

        if kind == "queued":
            await system.start(await created())
        headers = {"Prefer": "respond-async"} if kind == "queued" else {}
        for measured in (False, True):
            task_id = await created()
            await trio.sleep(0.2)  # The server is idle again.
            if measured:
                touched.start()
            answer = await http.post(f"/tasks/{task_id}/execute", headers=headers)
            touched.stop()
            expected = '"status":"queued"' if kind == "queued" else '"task_completed"'
            assert expected in answer.text, answer.text
    return touched.files()


def main() -> None:
    counts = {}
    for kind in ("queued", "streamed", "agents"):
        with tempfile.TemporaryDirectory() as folder:
            files = trio.run(executed, kind, Path(folder))
        counts[kind] = len(files)
        print(f"{kind}:")
        for file, calls in files.items():
            print(f"{calls:7} calls  {file}")
    print(*(f"{kind}: {count} files" for kind, count in counts.items()), sep="\n")


if __name__ == "__main__":
    main()
