"""Markdown in the page: a text that grows is shown as one that was there at once."""

from __future__ import annotations

from .server import LONG

GROWN = """async ([text, cuts]) => {
    const { MarkdownView } = await import("/page/text/markdown.js");
    const shown = (...texts) => {
        const node = document.createElement("div");
        const view = new MarkdownView(node, (plain) => [plain]);
        for (const one of texts) while (view.update(one));
        return node.textContent.replace(/\\s+/g, "");
    };
    const whole = shown(text);
    return cuts.filter((cut) => shown(text.slice(0, cut), text) !== whole);
}"""


def test_a_long_list_that_grows_repeats_no_item(plays, open_page):
    page = open_page(plays.url)
    cuts = list(range(18_390, 18_420))

    assert page.evaluate(GROWN, ["".join(LONG[:500]), cuts]) == []
