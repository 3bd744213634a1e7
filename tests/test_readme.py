"""The commands of the README, run as they stand there: only names of machines and ports are replaced."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
HANG_S = 120

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def block(containing: str) -> str:
    """The block of commands that has this in it, for the installed command and a free port."""
    (found,) = [one for one in BLOCKS if containing in one]
    return replaced(found, ".venv/bin", str(BIN))


def replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"The README does not say {old} any more."
    return text.replace(old, new)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a person who has not used Terzetto yet."""
    homes = {name: str(tmp_path / name) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    return {k: v for k, v in os.environ.items() if not k.startswith("TERZETTO_")} | homes


def run(script: str, env: dict[str, str]) -> str:
    """What a script says on stdout; a command that fails ends it."""
    bash = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        bash, env=env, cwd=ROOT, timeout=HANG_S, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def serving(line: str, env: dict[str, str]) -> Iterator[str]:
    """The URL of the server that this line starts."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {line}"], env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            for said in process.stderr:
                if "listens at" in said:
                    break
            yield re.findall(r"http://\S+", said)[0]
        finally:
            process.kill()


def test_the_commands_of_the_api(env: dict[str, str]) -> None:
    (serve,) = block("terzetto serve          #").splitlines()
    script = next(one for one in BLOCKS if "TASK=$(curl" in one)
    with serving(f"{serve.partition('#')[0]} --bind 127.0.0.1:0", env) as url:
        said = run(replaced(script, "localhost:8000", url), env)

    assert '"title":"Terzetto"' in said
    assert '"event_type":"task_completed"' in said
    assert '"status":"completed"' in said


def test_the_commands_of_keys(env: dict[str, str]) -> None:
    before, serve, after = re.split(r"(.*terzetto serve.*)\n", block("keys add alice"))
    made = run(before, env)
    bob = json.loads(made.splitlines()[-1])
    assert made.count("tz_") == 2 and (bob["name"], bob["scope"]) == ("bob", "write")

    with serving(replaced(serve, "0.0.0.0:8000", "127.0.0.1:0"), env) as url:
        script = replaced(after, "http://SERVER:8000", url)
        said = run(script, env | {"KEY": bob["key"]})
        for key in (bob["key"], *re.findall(r"tz_\S+", said)):
            headers = {"Authorization": f"Bearer {key}"}
            assert httpx.get(f"{url}/tasks", headers=headers).status_code == 401

    assert '"tasks":' in said and "## Sources" in said
