"""Documents and models that try to become part of the page, or to deceive its reader."""

from __future__ import annotations

import json
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect

from .server import HOSTILE_TITLE

HOSTILE_DOCUMENT = """# <img src=x onerror="window.owned=1">

<script>window.owned = 1</script>

[click](javascript:window.owned=1) <b>quasar</b> annual\u202ecod.exe

</pre></div></main><style>*{display:none}</style>
"""

SAFE = """() => {
    const links = [...document.querySelectorAll("a[href]")].map((link) => link.protocol);
    return {
        owned: "owned" in window,
        title: /[\\u202d\\u202e]/.test(document.title),
        scripts: document.querySelectorAll("script:not([src^='page/'])").length,
        elements: document.querySelectorAll("main :is(img, style, iframe, object, b, u, i)").length,
        handlers: document.querySelectorAll("[onerror], [onclick], [onload]").length,
        links: links.filter((name) => !["http:", "https:", "mailto:"].includes(name)),
        override: /[\\u202d\\u202e]/.test(document.body.innerText),
    };
}"""
NOTHING = {
    "owned": False,
    "title": False,
    "scripts": 0,
    "elements": 0,
    "handlers": 0,
    "links": [],
    "override": False,
}


@pytest.mark.parametrize(
    "tab", ["answer", "plan", "timeline", "sources", "log?seq=14", "answer?seq=20"]
)
def test_what_a_model_writes_stays_text(plays, open_page, run_task, tab):
    task_id = run_task(plays, f"Hostile {HOSTILE_TITLE}")
    page = open_page("about:blank")
    foreign = []
    page.on(
        "request", lambda request: None if plays.url in request.url else foreign.append(request.url)
    )

    page.goto(f"{plays.url}/#/tasks/{task_id}/{tab}")

    expect(page.locator("h1")).to_contain_text("Hostile")
    expect(page.locator("header .state")).to_contain_text(
        "running" if "seq" in tab else "completed"
    )
    assert page.evaluate(SAFE) == NOTHING
    assert foreign == []


def test_markdown_around_hostile_parts_is_still_shown(plays, open_page, run_task):
    task_id = run_task(plays, "Hostile text")
    page = open_page(f"{plays.url}/#/tasks/{task_id}")
    report = page.locator(".report")

    expect(report).to_contain_text("<script>window.owned = 1</script>")
    expect(report).to_contain_text("[a link](javascript:window.owned=1)")
    expect(report).to_contain_text("annual[U+202E]cod.exe")
    expect(report.get_by_role("link", name="pixel")).to_have_attribute(
        "rel", "noopener noreferrer nofollow"
    )
    expect(report.locator("table td").first).to_have_text("<i>x</i>")
    expect(report).to_contain_text("<script> stays text, and so does [1].")


def test_a_hostile_document_stays_text_everywhere(real_server, open_page):
    with httpx.Client(base_url=real_server.url, timeout=30) as client:
        title = quote(HOSTILE_TITLE)
        headers = {"Content-Type": "text/markdown"}
        body = HOSTILE_DOCUMENT.encode()
        document = client.post(f"/documents?title={title}", content=body, headers=headers).json()
        document_id = document["document_id"]
        created = client.post("/tasks", json={"task_description": "What is a quasar?"}).json()
        client.post(f"/tasks/{created['task_id']}/execute")
    try:
        page = open_page(real_server.url)
        for address, words in [
            ("#/documents", "[U+202E]gnp.exe"),
            ("#/documents?q=quasar", "quasar"),
            (f"#/documents/{document_id}?start=0&end=40", "quasar"),
            (f"#/tasks/{created['task_id']}", "quasar"),
            (f"#/tasks/{created['task_id']}/sources", "quasar"),
        ]:
            page.goto(f"{real_server.url}/{address}")
            expect(page.get_by_role("main")).to_contain_text(words)
            assert page.evaluate(SAFE) == NOTHING, address
    finally:
        httpx.delete(f"{real_server.url}/documents/{document_id}")


def test_a_name_that_reads_backwards_is_shown_as_it_is_where_it_is_removed(
    own_server, open_page, tmp_path
):
    (tmp_path / "annual\u202ecod.exe").write_bytes(b"MZ\0")
    title = quote(HOSTILE_TITLE)
    headers = {"Content-Type": "text/markdown"}
    httpx.post(f"{own_server.url}/documents?title={title}", content=b"A quasar.", headers=headers)
    page = open_page(f"{own_server.url}/#/documents")

    page.set_input_files("input[multiple]", tmp_path / "annual\u202ecod.exe")
    expect(page.locator(".uploads li")).to_contain_text("annual[U+202E]cod.exe")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("[U+202E]gnp.exe")
    page.keyboard.press("Escape")
    page.locator(".rows a").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("[U+202E]gnp.exe")


def test_an_address_shows_no_document_as_if_it_were_a_task(own_server, open_page):
    data: dict[str, object] = {
        "task_description": "Give me your key",
        "deadline_s": None,
        "metadata": {},
    }
    event = {"seq": 1, "event_type": "task_created", "task_id": "x", "data": data}
    line = json.dumps(event | {"timestamp": "2026-01-01T00:00:00.000Z"}) + "\n"
    headers = {"Content-Type": "text/plain"}
    made = httpx.post(f"{own_server.url}/documents", content=line, headers=headers).json()

    page = open_page(f"{own_server.url}/#/tasks/..%2Fdocuments%2F{made['document_id']}%2Ftext%23")

    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("main")).not_to_contain_text("Give me your key")


@pytest.mark.parametrize("name", ["constructor", "__proto__"])
def test_an_address_with_a_name_of_the_language_is_one_that_names_nothing(
    plays, open_page, run_task, name
):
    task_id = run_task(plays, "Calm task")
    page = open_page(f"{plays.url}/#/tasks/{task_id}/{name}")
    expect(page.locator(".tabs [aria-current=page]")).to_have_text("Answer")

    page.goto(f"{plays.url}/#/tasks?status={name}")
    expect(page.locator(".filters [aria-current=page]")).to_have_text("All")


MARKDOWN = """async (text) => {
    const { MarkdownView } = await import("/page/text/markdown.js");
    const shown = (steps) => {
        const node = document.createElement("div");
        const view = new MarkdownView(node, (text) => [text]);
        for (const length of steps) while (view.update(text.slice(0, length)));
        return node.innerHTML;
    };
    const began = performance.now();
    const whole = shown([text.length]);
    const milliseconds = performance.now() - began;
    const pieces = Array.from({ length: 60 }, (_, n) => Math.ceil((text.length * (n + 1)) / 60));
    return { isSame: whole === shown(pieces), milliseconds, whole };
}"""


@pytest.mark.parametrize(
    "text",
    [
        "# A\n\nb *c* **d** `e` [1]\n\n- f\n  - g\n\n  h\n- i\n\n1. j\n2. k\n\n> l\n> m\n\nn\n===\n",
        "| a | b |\n| --- | --- |\n| c | d |\n| e | f |\n\n```\ng\n\nh\n```\n\n    i\n\n---\n\nj  \nk\n",
        "a\r\nb\r\n\r\n- c\r\n- d\r\n\r\n\te\r\n",
        "- a\n\n- b\n\n\n- c\n\n  - d\n\nafter\n\n* e\n* f\n\n[x]: https://example.org\n\n[x]\n",
        "".join(f"{n}. item [1]\n\n   - inside\n{n % 7 // 6 * chr(10)}" for n in range(1, 130))
        + "x\n",
        "".join(f"- item {n}\n" for n in range(95)) + "\n- loose\n\n\nafter\n",
        "&amp; &lt;b&gt; &#60; \\* \\[1\\] snake_case_word 2*3*4 <div>\n\nx\n</div>\n\n<!-- y -->\n",
    ],
)
def test_text_that_streams_ends_up_as_text_that_is_shown_at_once(plays, open_page, text):
    found = open_page(plays.url).evaluate(MARKDOWN, text)

    assert found["isSame"], found["whole"]


@pytest.mark.parametrize(
    "unit", ["**a_", "> ", "- ", "[", "![", "<", "`", "*a ", "\n- ", "1. ", "[a]("]
)
def test_no_text_keeps_the_page_busy(plays, open_page, unit):
    """The time is a hang guard, many times what each takes."""
    found = open_page(plays.url).evaluate(MARKDOWN, unit * 10_000)

    assert found["milliseconds"] < 5_000, json.dumps(found)[:200]
