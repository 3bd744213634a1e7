"""HTML: what is kept of a page, letter for letter, and what is left out."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from blocks_of import shown
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import UnreadableDocument
from actors.library.parsing.parse import Parsed, parse
from actors.library.sentences import sentences


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


def test_lines_that_lead_to_the_next_page_are_left_out() -> None:
    html = '<p>Next: <a rel="next" href=a>A</a>, <a rel="prev" href=b>B</a></p><p>Text.</p>'

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


def lines(body: str) -> list[str]:
    return shown(page(f"<title>Title</title>{body}"))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("10<sup>6</sup> messages", "10^6 messages"),
        ("2<sup>-3</sup>, x<sup>n+1</sup>", "2^-3, x^(n+1)"),
        ("the 1<sup>st</sup>, n<sup>th</sup>, XX<sup>e</sup>", "the 1st, nth, XXe"),
        ("H<sub>2</sub>O and 10<sub>2</sub>", "H2O and 10_2"),
        ("<sup>14</sup>C and 25 m<sup>2</sup>", "14C and 25 m^2"),
        ('Text.<sup><a href="#fn1">1</a></sup> More', "Text. More"),
        ('Text <a class="footnote-reference" href="#id1">[1]</a>.', "Text."),
        ('Text<a href="#n2"><sup>2</sup></a>.', "Text."),
        ("Text.<sup>3</sup> More", "Text. More"),
        ('<a href="#big">10<sup>6</sup></a>', "10^6"),
        ('<a class="reference" href="#gc">gc</a> module', "gc module"),
        ("<math><msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mi>a</mi></math>", "x^2+a"),
        ("Press <button>Save</button> to store.", "Press Save to store."),
        ("Line<br>two", "Line\ntwo"),
    ],
)
def test_inline_marks_keep_their_meaning(html: str, text: str) -> None:
    assert [block.text for block in page(f"<p>{html}</p>").blocks] == [text]


def test_what_is_hidden_until_a_click_is_read_below_its_label() -> None:
    html = """<div role="tablist"><button role="tab" aria-controls="a">Linux</button>
        <button role="tab" aria-controls="b">Windows</button></div>
        <div role="tabpanel" id="a"><p>apt</p></div>
        <div role="tabpanel" id="b" hidden aria-hidden="true"><p>choco</p></div>
        <details><summary>More</summary><p>Folded.</p></details>
        <details><summary>How big is it?</summary><p>Ten metres.</p></details>
        <button class="accordion">Can I return it?</button><div class="panel"><p>Yes.</p></div>
        <button aria-expanded="false">Shipping</button><div style="display:none"><p>Ten.</p></div>
        <h2><button>Who pays?</button></h2><div><p>We do.</p></div>"""

    assert lines(html) == [
        "[term] Linux",
        "[paragraph 1] apt",
        "[term] Windows",
        "[paragraph 1] choco",
        "[term] More",
        "[paragraph 1] Folded.",
        "How big is it?[paragraph 1] Ten metres.",
        "Can I return it?[paragraph 1] Yes.",
        "[term] Shipping",
        "[paragraph 1] Ten.",
        "Who pays?[paragraph] We do.",
    ]


def test_tabs_and_boxes_of_other_tools_are_known() -> None:
    html = """<ul class="nav"><li><a data-toggle="tab" href="#t1">macOS</a></li></ul>
        <div class="tab-content"><div id="t1" class="tab-pane"><p>brew</p></div></div>
        <div class="admonitionblock"><table><tr><td><div class="title">Tip</div></td>
        <td><p>Unplug it.</p></td></tr></table></div>
        <div class="admonition"><p class="admonition-title">See also</p><p>More.</p></div>
        <table><tr><td><b>Plan</b></td><td><b>Price</b></td></tr><tr><td>A</td><td>5</td></tr></table>
        <p>1,5<sup>*</sup></p>"""

    assert lines(html) == [
        "[term] macOS",
        "[paragraph 1] brew",
        "[term] Tip",
        "[paragraph 1] Unplug it.",
        "[term] See also",
        "[paragraph 1] More.",
        "[header] Plan | Price",
        "[row] A | 5",
        "[paragraph] 1,5*",
    ]


def test_a_box_keeps_its_title_and_ends_it() -> None:
    html = """<p>Intro.</p><div class="sidebar"><div><p class="title"><b>TOOL cacher</b></p></div>
        <p>It keeps a copy.</p></div><p>After.</p>
        <div class="note"><h3>Note</h3><p>Careful.</p></div><aside><h3>Box</h3><p>In it.</p></aside>
        <p>Last.</p>"""

    assert lines(html) == [
        "[paragraph] Intro.",
        "TOOL cacher[paragraph] It keeps a copy.",
        "[paragraph] After.",
        "[term] Note",
        "[paragraph 1] Careful.",
        "Box[paragraph] In it.",
        "[paragraph] Last.",
    ]


def test_tables_have_captions_headers_and_cells_that_span_others() -> None:
    html = """<table><caption>Table 4</caption><thead><tr><th>Plan</th><th colspan=2>A | B</th></tr>
        </thead><tr><td rowspan=2>Basic</td><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr>
        </table>"""

    assert lines(html) == [
        "[paragraph] Table 4",
        "[header] Plan | A \\| B | A \\| B",
        "[row] Basic | 1 | 2",
        "[row] Basic | 3 | 4",
    ]
    two_rows = """<table><tr><th rowspan=2>City</th><th colspan=2>Temp</th></tr>
        <tr><th>Day</th><th>Night</th></tr><tr><th>Graz</th><td>1</td><td>2</td></tr></table>"""
    assert lines(two_rows) == [
        "[header] City | Temp | Temp",
        "[header] City | Day | Night",
        "[row] Graz | 1 | 2",
    ]


def test_items_keep_their_numbers_and_depth() -> None:
    html = """<ol start=3><li>three<ul><li>in</li></ul><p>more</p></li><li>four<pre>x</pre></li></ol>
        <ol type=a reversed><li>b</li><li>a</li></ol><ol type=I><li value=4>x</li></ol>"""

    assert lines(html) == [
        "[item 3.] three",
        "[item - 1] in",
        "[paragraph 1] more",
        "[item 4.] four",
        "[code 1] x",
        "[item b.] b",
        "[item a.] a",
        "[item IV.] x",
    ]


def test_a_bold_line_that_begins_an_item_is_its_heading() -> None:
    text = "The default is 2000 columns, and it can be changed when the program is compiled. " * 2

    assert lines(f"<ol><li><p><b>Number of columns</b></p><p>{text}</p></li></ol><p>End.</p>") == [
        f"1. Number of columns[paragraph 1] {text.strip()}",
        "[paragraph] End.",
    ]


def test_elements_that_are_lines_of_a_listing_are_lines() -> None:
    html = """<pre><div class="line">a = 1</div><div class="line">  b = 2</div></pre>
        <div class="fragment"><div class="line">int x;</div><div class="line">int y;</div></div>
        <pre>    one\n      two</pre>"""

    texts = [block.text for block in page(html).blocks]
    assert texts == ["a = 1\n  b = 2", "int x;\nint y;", "one\n  two"]


def test_a_page_that_is_one_listing_is_read_as_plain_text() -> None:
    text = "   The memo is about lamps, and about what they are good for in a house.\n" * 4

    assert [block.kind for block in page(f"<pre>1.  Intro\n\n{text}</pre>").blocks] == ["paragraph"]


def test_what_is_left_out_is_counted() -> None:
    html = """<p>Text</p><span aria-hidden="true">x</span><div role="dialog">Buy</div>
        <dialog>Too</dialog><img alt="A plan" src="x.png"><iframe src="y"></iframe>"""

    assert page(html).notes == (
        "2 dialogs were left out.",
        "1 embedded page was left out.",
        "1 hidden decoration was left out.",
        "1 image was left out.",
    )


def test_the_declared_language_is_known() -> None:
    assert page('<html lang="de-AT"><p>Text').language == "de"
    assert page("<p>Text").language == ""


def test_links_that_a_sentence_announces_are_items() -> None:
    html = "<p>It supports:</p><ul><li><a href=a>One</a></li><li><a href=b>Two</a></li></ul>"

    assert [block.kind for block in page(html).blocks] == ["paragraph", "item", "item"]


def test_most_of_a_page_is_never_taken_for_what_stands_around_it() -> None:
    text = "<p>This is a sentence of the page itself, whatever its box is called.</p>" * 20

    assert (
        len(
            page(f'<div class="content"><p>Short.</p></div><div class="footer">{text}</div>').blocks
        )
        == 21
    )


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
    for one in parsed.blocks:
        if one.kind in ("paragraph", "item"):
            assert all(sentence in whole for sentence in sentences(one.text))
