"""Pictures of the page in every state, to look at: by hand.

    python -m tests.browser.screenshots FOLDER
    python -m tests.browser.screenshots --readme   takes the two of the README again

Rule: a state is reached as a person reaches it, or by its address.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, ViewportSize

from .chromium import TESTS, ServerProcess, browser

README = TESTS / "browser" / "screenshots"
QUESTION = "Compare threads and async I/O for a web server, then recommend one"
FAILING = "Flaky restore: what do we do when the restore of a backup fails?"
WIDE: ViewportSize = {"width": 1000, "height": 760}
NARROW: ViewportSize = {"width": 360, "height": 740}


def run(server: ServerProcess, description: str, verb: str = "execute") -> str:
    """The fragment of a task that was created, and run to its end unless `verb` is empty."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        created = client.post("/tasks", json={"task_description": description}).json()
        if verb:
            client.post(f"/tasks/{created['task_id']}/{verb}")
    return f"#/tasks/{created['task_id']}"


class Photographer:
    """Takes pictures of a server's page; `shoot` names one and the address it shows."""

    def __init__(self, chromium: Browser, folder: Path) -> None:
        self._chromium, self._folder = chromium, folder
        folder.mkdir(parents=True, exist_ok=True)

    def shoot(
        self,
        name: str,
        address: str,
        *,
        act: Callable[[Page], object] = lambda page: None,
        narrow: bool = False,
        dark: bool = False,
    ) -> None:
        size = NARROW if narrow else WIDE
        page = self._chromium.new_page(viewport=size, color_scheme="dark" if dark else "light")
        page.goto(address)
        page.wait_for_timeout(700)
        act(page)
        page.wait_for_timeout(500)
        page.screenshot(path=self._folder / f"{name}.png")
        page.close()


def every_state(real: ServerProcess, plays: ServerProcess, chromium: Browser, folder: Path) -> None:
    photographer = Photographer(chromium, folder)
    shoot = photographer.shoot
    shoot("start-empty", real.url)
    shoot("tasks-empty", f"{real.url}/#/tasks")
    shoot("library-sample", f"{real.url}/#/documents")
    answer = f"{real.url}/{run(real, QUESTION)}"
    shoot("start", real.url)
    shoot("answer", answer, act=lambda page: page.hover("a.cite >> nth=0"))
    shoot("answer-narrow", answer, narrow=True)
    shoot("answer-dark", answer, dark=True)
    shoot("sources", f"{answer}/sources")
    shoot("document", answer, act=lambda page: page.click("a.cite >> nth=0"))
    shoot("search", f"{real.url}/#/documents?q=event+loop")
    shoot("export", answer, act=lambda page: page.click("summary"))
    shoot("delete", answer, act=lambda page: page.click("text=Delete"))
    shoot("agents", f"{real.url}/#/agents")
    played_states(plays, shoot)
    states_with_keys(real, shoot)


def played_states(plays: ServerProcess, shoot: Callable[..., None]) -> None:
    flaky = f"{plays.url}/{run(plays, FAILING)}"
    for tab in ("plan?step=s3", "timeline", "log?seq=12", "answer?seq=34"):
        name = tab.partition("?")[0]
        shoot(f"{name}-attempts", f"{flaky}/{tab}")
        shoot(f"{name}-narrow-dark", f"{flaky}/{tab}", narrow=True, dark=True)
    shoot("failed", f"{plays.url}/{run(plays, 'Broken restore')}")
    shoot("degraded", f"{plays.url}/{run(plays, 'Degraded restore')}")
    shoot("pending", f"{plays.url}/{run(plays, 'Calm restore', verb='')}")
    for name, play in {"running": "Thinking", "writing": "Slow", "retrying": "Flaky"}.items():
        shoot(name, plays.url, act=lambda page, play=play: start(page, f"{play} restore"))
    shoot("cancelled", plays.url, act=cancelled)
    shoot("hostile", f"{plays.url}/{run(plays, 'Hostile text')}")
    shoot("error", f"{plays.url}/#/tasks/{'0' * 8}-0000-0000-0000-{'0' * 12}")
    plays.kill()
    shoot("lost", "about:blank", act=lambda page: lost(page, plays))


def start(page: Page, description: str) -> None:
    page.fill("#task", description)
    page.press("#task", "Control+Enter")
    page.wait_for_timeout(1_700)


def cancelled(page: Page) -> None:
    start(page, "Thinking about a restore")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".state.cancelled")


def states_with_keys(server: ServerProcess, shoot: Callable[..., None]) -> None:
    """Last, as the server wants a key from then on."""
    reader = server.keys("add", "bob", "--scope", "read")["key"]

    def forbidden(page: Page) -> None:
        give(page, reader)
        page.fill("#task", QUESTION)
        page.press("#task", "Control+Enter")
        page.wait_for_selector("text=Use another key")

    def changing(page: Page) -> None:
        forbidden(page)
        page.click("text=Use another key")

    for name, act in {
        "key": lambda page: page.wait_for_selector("#key-value"),
        "key-refused": lambda page: give(page, "tz_of_yesterday"),
        "key-forbidden": forbidden,
        "key-other": changing,
    }.items():
        shoot(name, server.url, act=act)
        shoot(f"{name}-narrow-dark", server.url, act=act, narrow=True, dark=True)


def give(page: Page, key: str) -> None:
    page.fill("#key-value", key)
    page.click("text=Go on")


def lost(page: Page, server: ServerProcess) -> None:
    server.start()
    page.goto(server.url)
    start(page, "Slow restore")
    server.kill()
    page.wait_for_selector("text=The connection is lost.")


def of_readme(real: ServerProcess, plays: ServerProcess, chromium: Browser) -> None:
    photographer = Photographer(chromium, README)
    answer = f"{real.url}/{run(real, QUESTION)}"
    photographer.shoot("answer", answer, act=lambda page: page.hover("a.cite >> nth=0"))
    photographer.shoot("timeline", f"{plays.url}/{run(plays, FAILING)}/timeline")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path, default=README)
    arguments.add_argument("--readme", action="store_true")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as data, browser() as chromium:
        with (
            ServerProcess(Path(data) / "real", plays=False) as real,
            ServerProcess(Path(data) / "plays", plays=True) as plays,
        ):
            if chosen.readme:
                of_readme(real, plays, chromium)
            else:
                every_state(real, plays, chromium, chosen.folder)


if __name__ == "__main__":
    main()
