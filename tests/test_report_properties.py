"""What holds for every report, whatever stands in the documents.

Rule: a report is read as its readers read it, by a parser of Markdown with tables and strikethrough.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import get_args

from hypothesis import given, note
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from actors.agents.extractive.report import parts
from actors.tasks.evidence import ExcerptKind, Finding, Findings, Passage, Section
from actors.tasks.plan import Question

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])

HOSTILE = [
    *("[1]", "[7]", "[1, 2]", "\\[1]", "[1]: http://x", "[^1]", "[x](http://x)", "![i](u)", "<b>"),
    *("</p>", "<!--", "-->", "<http://x.example>", "<a@b.example>", "&amp;", "&#35;", "&lt;b>"),
    *(
        "`code`",
        "`",
        "```",
        "~~~",
        "***",
        "---",
        "===",
        "# h",
        "## Sources",
        "> q",
        "1. x",
        "12) x",
    ),
    *("- x", "+", "* x", "• x", "No. 5", "a) x", "| a | b |", "|---|", " | ", "\\", "\\\\", "_a_"),
    *(
        "**b**",
        "~~s~~",
        "\n",
        "\n\n",
        "\n- ",
        "\n    code",
        "\t",
        "    ",
        "\n1. ",
        "\n===",
        "\n---",
    ),
    *(
        "word",
        "number 5",
        "é",
        "中文。",
        "price:",
        "…",
        "\u2028",
        "\x0b",
        "\x85",
        "https://x.example",
    ),
]
TEXTS = st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=9).map(" ".join)
KINDS = st.sampled_from(get_args(ExcerptKind))
TITLES = st.lists(st.sampled_from([t for t in HOSTILE if t.strip()]), min_size=1, max_size=4)
QUESTIONS = TITLES.map(" ".join)


@st.composite
def findings(draw: st.DrawFn) -> Findings:
    texts = draw(st.lists(TEXTS.filter(lambda t: t.strip()), min_size=1, max_size=4, unique=True))
    sources, chosen = [], []
    for number, text in enumerate(texts):
        kind = draw(KINDS)
        text = f"    {text}".replace("\n", "\n    ") if kind == "code" else text.strip()
        title = " ".join(draw(QUESTIONS).split())
        sources.append(Passage(f"d{number}", title, title, 1, text))
        chosen.append(Finding(text, number, kind=kind))
    at = draw(st.integers(0, len(chosen)))
    sections = [
        Section(Question(f"s{n}", draw(QUESTIONS), "q"), tuple(some), draw(st.booleans()))
        for n, some in enumerate((chosen[:at], chosen[at:]), start=2)
        if some
    ]
    return Findings(tuple(sections), tuple(sources))


def tokens(text: str) -> list[Token]:
    """All tokens, those inside lines, too."""
    found = MARKDOWN.parse(text)
    return [*found, *(child for token in found for child in token.children or ())]


def shown(text: str) -> str:
    """What a reader sees: text and code, without white space."""
    seen = (
        token.content
        for token in MARKDOWN.parse(text)
        for token in (token.children or [token])
        if token.type in ("text", "code_inline", "fence", "code_block", "text_special")
    )
    return bare("".join(seen))


def bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


@given(QUESTIONS, findings())
def test_no_document_makes_links_images_markup_or_headings(task: str, found: Findings) -> None:
    text = "".join(parts(task, found))
    note(text)

    kinds = Counter(token.type for token in tokens(text))

    for foreign in ("link_open", "image", "html_inline", "html_block", "s_open", "blockquote_open"):
        assert kinds[foreign] == 0
    assert kinds["em_open"] == text.count("*The listing goes on")
    several = len(found.sections) > 1
    assert kinds["heading_open"] == 2 + (len(found.sections) if several else 0)
    assert kinds["hr"] == kinds["code_inline"] == 0


@given(QUESTIONS, findings())
def test_every_citation_is_ours_and_every_source_is_cited(task: str, found: Findings) -> None:
    text = "".join(parts(task, found))
    prose = re.sub(r"^(```+)\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)

    numbers = [int(n) for n in re.findall(r"\[(\d+)\]", prose)]

    assert not re.search(r"\[\d+, ?\d+\]", prose)
    assert list(dict.fromkeys(numbers)) == list(range(1, len(found.sources) + 1))


@given(QUESTIONS, findings())
def test_a_reader_sees_the_words_of_the_documents_as_they_are(task: str, found: Findings) -> None:
    seen = re.sub(r"\[\d+\]", "", shown("".join(parts(task, found))))

    assert bare(re.sub(r"\[\d+\]", "", task)).casefold() in seen.casefold()
    for section in found.sections:
        for finding in section.findings:
            for word in finding.text.replace("|", " ").split():
                word = re.sub(r"\[\d+\]", "", word)
                if not re.fullmatch(r"[-*+•]|\d+[.)]", word):
                    assert word in seen


@given(QUESTIONS, findings())
def test_the_same_findings_give_the_same_parts(task: str, found: Findings) -> None:
    assert list(parts(task, found)) == list(parts(task, found))
