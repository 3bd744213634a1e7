"""How long the frames of the page are: by hand, on a quiet machine.

    python -m tests.browser.frames

Prints the longest frame and the tasks of the event loop over 50 ms while a task of 2,000 events streams,
is opened at each tab, and is scrubbed through its past; and when the first paint was.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from .chromium import ServerProcess, browser

SETTLE_MS = 3_000

WATCH = """() => {
    window.watched = { frame: 0, tasks: [] };
    let last = performance.now();
    const frame = (now) => {
        window.watched.frame = Math.max(window.watched.frame, now - last);
        last = now;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.watched.tasks.push(Math.round(entry.duration));
    }).observe({ type: "longtask" });
}"""
PAINT = """() => performance.getEntriesByType("paint").map((one) => [one.name, Math.round(one.startTime)])"""


def measure(server: ServerProcess, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(server.url)
    page.wait_for_selector("#task")
    print("paint:", page.evaluate(PAINT))
    page.evaluate(WATCH)
    page.fill("#task", "Long report")
    page.press("#task", "Control+Enter")
    settle(page, "streaming")
    address = page.url
    for tab in ("answer", "plan", "timeline", "sources", "log"):
        page.close()
        page = chromium.new_page()
        page.add_init_script(f"({WATCH})()")
        page.goto(f"{address}/{tab}")
        settle(page, f"opened at {tab}")
    page.goto(f"{address}/answer")
    settle(page, "opened again at answer")
    page.evaluate(WATCH)
    scrub(page)
    settle(page, "scrubbing")


def settle(page: Page, what: str) -> None:
    """Wait until nothing is left to draw, and report."""
    page.wait_for_selector(".state", timeout=120_000)
    page.wait_for_timeout(SETTLE_MS)
    found = page.evaluate("window.watched")
    tasks = ", ".join(f"{one} ms" for one in found["tasks"]) or "none"
    print(f"{what:28} longest frame {found['frame']:6.1f} ms   tasks over 50 ms: {tasks}")


def scrub(page: Page) -> None:
    """Drag the slider from its end to its start."""
    box = page.get_by_role("slider").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 8, box["y"] + 5)
    page.mouse.down()
    for step in range(40):
        page.mouse.move(box["x"] + box["width"] * (1 - step / 40), box["y"] + 5)
        page.wait_for_timeout(30)
    page.mouse.up()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with ServerProcess(Path(folder) / "data", plays=True) as server, browser() as chromium:
            measure(server, chromium)


if __name__ == "__main__":
    main()
