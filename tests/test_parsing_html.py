"""HTML: what is kept of a page, letter for letter, and what is left out."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from actors.errors import UnreadableDocument
from actors.library.parsing.parse import Parsed, parse
from actors.library.passages import parts, passages, sentences


def page(body: str) -> Parsed:
    return parse(body.encode(), media_type="text/html; charset=utf-8")


def kinds(body: str) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in page(body).blocks]


def test_inline_text_is_put_together_as_a_browser_shows_it() -> None:
    html = (
        "<p>Call <code><span>cancel</span></code>() on\n  the&nbsp;<b>Ta</b><i>sk</i>.<br>Done.</p>"
    )

    assert kinds(html) == [("paragraph", "Call cancel() on the Task.\nDone.")]


def test_what_stands_around_the_page_is_left_out() -> None:
    html = """<body><nav>Menu</nav><header>Site</header><script>x()</script><style>y</style>
        <div class="sphinxsidebar">Bar</div><div class="related">Next</div>
        <h1>Title<a class="headerlink">¶</a></h1><p>Text.</p><button>Copy</button>
        <footer>© 2026</footer></body>"""

    assert page(html).title == "Title"
    assert kinds(html) == [("paragraph", "Text.")]


def test_what_sites_put_around_a_page_is_left_out_by_its_name() -> None:
    html = """<body><a class="skip-link" href="#x">Skip</a><div id="cookie-banner">We use cookies.
        <a>More</a></div><div class="left sidebar"><h3>Popular</h3><p>Ten tips.</p></div>
        <div id="content"><h1>Retries</h1><p>Text.</p><div class="newsletter"><h4>Subscribe</h4>
        <p>Each week.</p></div></div><div role="dialog">10% off!</div>
        <div class="footer">© 2026</div><div role="contentinfo">Imprint</div></body>"""

    assert kinds(html) == [("paragraph", "Text.")]


def test_a_name_does_not_hide_the_page_itself() -> None:
    html = '<div class="sidebar footer"><h1>Title</h1><p>Text.</p></div><p id="cookie">More.</p>'

    assert kinds(html) == [("paragraph", "Text."), ("paragraph", "More.")]


def test_the_main_part_is_preferred_with_its_own_header() -> None:
    html = "<div>Noise</div><main><header><p>By me.</p></header><p>Text.</p></main><p>More noise"

    assert kinds(html) == [("paragraph", "By me."), ("paragraph", "Text.")]


def test_an_empty_main_part_is_no_reason_to_find_nothing() -> None:
    assert kinds("<main> </main><p>Text.</p>") == [("paragraph", "Text.")]


def test_the_title_is_the_first_h1_then_the_title_then_the_first_heading() -> None:
    assert page("<title>Tab</title><h1>Head</h1><p>x").title == "Head"
    assert page("<title>Tab</title><h2>Sub</h2><p>x").title == "Tab"
    assert page("<h2>Sub</h2><p>x").title == "Sub"


def test_lists_code_terms_and_tables_are_told_apart() -> None:
    html = """<ul><li><p>one</p><p>more</p></li><li>two</li></ul>
        <pre><span>def</span> f():\n    pass\n</pre>
        <dl><dt>f(x)</dt><dd>Does it.</dd></dl>
        <table><tr><th>a</th><th>b</th></tr><tr><td><p>1</p></td><td>2</td></tr></table>"""

    assert kinds(html) == [
        ("item", "one"),
        ("paragraph", "more"),
        ("item", "two"),
        ("code", "def f():\n    pass"),
        ("term", "f(x)"),
        ("paragraph", "Does it."),
        ("header", "a | b"),
        ("row", "1 | 2"),
    ]


def test_a_list_of_links_is_told_from_a_list_with_links() -> None:
    html = """<ul><li><a href=a>One</a></li><li><a href=b>Two</a></li></ul>
        <ul><li>See <a href=a>One</a> for all the rest of it.</li></ul>"""

    assert kinds(html) == [
        ("links", "One"),
        ("links", "Two"),
        ("item", "See One for all the rest of it."),
    ]


def test_a_table_that_only_places_things_is_read_like_the_page() -> None:
    html = "<table><tr><td><h2>Head</h2><p>Text.</p></td></tr></table>"

    assert kinds(html) == [("paragraph", "Text.")]


def test_a_page_nested_beyond_reason_is_refused_or_read_and_never_crashes() -> None:
    try:
        page("<div>" * 3_000 + "deep")
    except UnreadableDocument as refused:
        assert "nested" in refused.message


class _AllText(HTMLParser):
    """The text of a page by another parser than ours."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


words = st.sampled_from(
    ["Queue", "waits.", "It", "is", "e.g.", "done!", "\n", " ", "&lt;", "a.b()"]
)
inline = st.builds("<{0}>{1}</{0}>".format, st.sampled_from(["b", "code", "a", "em"]), words)
tags = st.sampled_from(["p", "li", "td", "div", "h2", "dd"])
block = st.builds(
    lambda tag, parts: f"<{tag}>{''.join(parts)}</{tag}>",
    tags,
    st.lists(st.one_of(words, inline), max_size=12),
)


@given(st.lists(block, min_size=1, max_size=6))
def test_every_sentence_is_found_in_the_text_of_its_page(blocks: list[str]) -> None:
    html = "<body>" + "\n".join(blocks)
    reader = _AllText()
    reader.feed(html)
    whole = re.sub(r"\s+", " ", "".join(reader.texts))
    try:
        parsed = page(html)
    except UnreadableDocument:
        return
    for cut in passages(parsed.blocks):
        for part in parts(cut.text):
            if part.kind in ("prose", "item"):
                assert all(sentence in whole for sentence in sentences(part.text))
