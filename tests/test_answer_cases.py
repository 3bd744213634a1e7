"""From the bytes of a document to the report: what documents of all kinds must give a person."""

from __future__ import annotations

import pytest
from reporting import library_of, report_on
from test_parsing_pdf import pdf

from actors.errors import UnreadableDocument

HTML = "<html><head><title>Doc</title></head><body>{}</body></html>"
DOG = "\n\nThe dog sleeps all day in the garden.\n"
Case = tuple[str, str, str | bytes, str, list[str], list[str]]

CASES: list[Case] = [
    # id, file name, body, task, what the report holds, what it does not hold
    (
        *("exponent", "a.html", HTML.format("<p>A batch holds at most 10<sup>4</sup> parcels.</p>")),
        *("How many parcels does a batch hold at most?", ["10^4 parcels"], ["104"]),
    ),
    (
        *("heading that is a button", "a.html"),
        HTML.format(
            "<h1>Help</h1><h2><button>How do I change my address?</button></h2>"
            "<div hidden><p>Open the profile page and choose Edit.</p></div>"
        ),
        *("How do I change my address?", ["Open the profile page"], []),
    ),
    (
        *("box inside the text", "a.html"),
        HTML.format(
            "<h1>Book</h1><p>Intro.</p><aside><p><strong>TOOL borg</strong></p>"
            "<p>Borg keeps each chunk once.</p></aside>"
        ),
        *("What does borg keep?", ["Borg keeps each chunk once."], []),
    ),
    (
        *("caption of a table", "a.html"),
        HTML.format(
            "<table><caption>Noise limits in decibels</caption><tr><th>Area</th><th>Limit</th></tr>"
            "<tr><td>Ward</td><td>35</td></tr></table>"
        ),
        *("What are the noise limits of the ward in decibels?", ["| Ward | 35"], []),
    ),
    (
        *("line break in a cell", "a.md", "| Who | Where |\n|---|---|\n| Ada<br>Bo | attic |\n"),
        *("Where is Ada?", ["attic"], ["AdaBo"]),
    ),
    (
        *("pipe in a cell", "a.csv", "flag,meaning\nor,write a|b for either\n"),
        *("What does the flag or mean?", ["write a\\|b for either"], []),
    ),
    (
        *("terminal escapes", "a.md", "# Frogs\n\n```\nfrogs \x1b[2J\x1b]0;x\x07 --clear\n```\n"),
        *("How are frogs cleared?", ["frogs [2J]0;x --clear"], ["\x1b", "\x07"]),
    ),
    (
        *("subject like the question", "a.eml"),
        ("From: Ann <ann@example.org>\nDate: Fri, 1 May 2026 10:00:00 +0200\n"
        "Subject: The water will be shut off\n\nDear tenants,\n\n"
        "on Thursday the water will be shut off from 8:30 to 13:00.\n"),
        *("When will the water be shut off?", ["from 8:30 to 13:00"], ["Subject:"]),
    ),
    (
        *("function words around compounds", "a.md"),
        "# Urlaubsregelung\n\nJeder hat Anspruch auf 30 Tage Urlaub im Jahr. Resturlaub verfällt am "
        "31. März des Folgejahres.\n" + 5 * DOG,
        "Wie viele Urlaubstage habe ich und bis wann muss ich den Resturlaub nehmen?",
        *(["31. März"], ["answers this directly"]),
    ),
    (
        *("folded title", "a.md", "---\ntitle: >\n  Rules of the\n  attic\n---\n\nNo candles there.\n"),
        *("Which candles are allowed by the rules of the attic?", ["No candles", "Rules of the attic"], []),
    ),
    (
        *("admonition", "a.md", "# Rules\n\n!!! note\n\n    Two ladders on one wall slip.\n"),
        *("Why do ladders on the wall slip?", ["Two ladders on one wall slip."], ["```"]),
    ),
    (
        *("number on a line of its own", "a.pdf"),
        pdf(["The number of beds in the ward is", "48", "and each has a lamp."]),
        *("What is the number of beds in the ward?", ["48"], []),
    ),
    (
        *("gb2312 with letters of GBK", "a.html"),
        '<meta charset="gb2312"><title>t</title><p>朱镕基 图书馆每天早上九点开门。</p>'.encode("gbk"),
        *("图书馆几点开门？", ["早上九点开门"], []),
    ),
    (
        *("encoding in the XML declaration", "a.xhtml"),
        '<?xml version="1.0" encoding="Shift_JIS"?><html xmlns="http://www.w3.org/1999/xhtml"><head>'
        "<title>t</title></head><body><p>図書館は毎朝九時に開きます。</p></body></html>".encode("shift_jis"),
        *("図書館はいつ開きますか。", ["毎朝九時に開きます"], []),
    ),
    (
        *("Latin-1 without a label", "a.txt"),
        "Die Höhe der Brücke beträgt zwölf Meter, und die Größe der Tür zwei.\n".encode("latin-1") * 3,
        *("Wie groß ist die Höhe der Brücke?", ["zwölf Meter"], ["�"]),
    ),
    (
        *("reference marks", "a.md", "# Pumps\n\nThe pump lifts 300 litres [7]. It draws 2 amperes [8, 9].\n"),
        *("How many litres does the pump lift?", ["300 litres \\[7\\]"], []),
    ),
    (
        *("every line is indented", "a.txt"),
        ("     2.  Safety\n\n     The pump has no fuse. Use it in dry rooms only.\n\n"
        "     3.  Noise\n\n     The pump hums at two pitches.\n"),
        *("What does the memo say about the fuse of the pump?", ["has no fuse"], ["```"]),
    ),
    (
        *("Chinese inside a sentence", "a.md", "# 备份\n\n我们每天晚上备份服务器，恢复需要两个小时。\n"),
        *("恢复需要多长时间？", ["恢复需要两个小时"], []),
    ),
    (
        *("Turkish capital", "a.md", "# Y\n\nİzmir şubesi her pazar kapalıdır.\n"),
        *("İzmir şubesi ne zaman kapalı?", ["her pazar kapalıdır"], []),
    ),
    (
        *("soft hyphens", "a.html", HTML.format("<p>Der Sicher&shy;heits&shy;beauftragte ist Frau Roth.</p>")),
        *("Wer ist der Sicherheitsbeauftragte?", ["Frau Roth"], []),
    ),
    (
        *("decomposed question", "a.md", "# P\n\nDie Küchenordnung hängt an der Tür.\n"),
        *("Wo hängt die Ku\u0308chenordnung?", ["an der Tür"], []),
    ),
    (
        *("Arabic vowel signs", "a.md", "# K\n\nالمِفْتَاحُ في الدرج.\n"),
        *("أين المفتاح؟", ["في الدرج"], []),
    ),
    # Everyday notes.
    (*("noun with for", "a.md", "# Notes\n\nThe fee for 2027 is 80 francs." + DOG), "What is the fee for 2027?", ["80 francs"], []),
    (*("person who", "a.md", "# Notes\n\nThe person who tunes the piano is Ms. Ek." + DOG), "Who tunes the piano?", ["Ms. Ek"], []),
    (*("thing that", "a.md", "# Notes\n\nThe lamp that lights the stairs is on the landing." + DOG), "Where is the lamp that lights the stairs?", ["on the landing"], []),
    (*("we decided", "a.md", "# Notes\n\nWe decided to use Matrix for the choir." + DOG), "What do we use for the choir?", ["Matrix"], []),
    (*("key and value", "a.md", "# Notes\n\nGate code: 8812." + DOG), "What is the gate code?", ["8812"], []),
    (*("list", "a.md", "# Notes\n\n- The gate code is 8812\n- The chair is Ola" + DOG), "What is the gate code?", ["8812"], []),
    (*("no full stop", "a.md", "# Notes\n\nThe gate code is 8812" + DOG), "What is the gate code?", ["8812"], []),
    (
        *("steps", "a.md", "# Notes\n\n## How to reset the meter\n\n1. Hold both keys for six seconds.\n2. Let go." + DOG),
        *("How do I reset the meter?", ["1. Hold both keys for six seconds."], []),
    ),
    (*("plain fact", "a.md", "# Notes\n\nThe archive is in the tower." + DOG), "Where is the archive?", ["in the tower"], []),
    (*("German", "a.md", "# N\n\nDie Prüfung des Aufzugs dauert neunzig Minuten." + DOG), "Wie lange dauert die Prüfung des Aufzugs?", ["neunzig Minuten"], []),
    (
        *("something else", "a.md", "# Notes\n\nThe gate code is 8812, and the chair is Ola." + DOG),
        *("How are pearls formed in an oyster?", ["The library has nothing on this."], ["8812"]),
    ),
    (
        *("both halves of a question", "a.md"),
        ("# Works\n\n## Copies\n\nWe copy the archive each night at 01:15 to the tower.\n\n"
        "If a copy is broken:\n\n1. Check the cable of the tower.\n2. Ask Ola for the tape.\n\n"
        "| Who | Phone |\n|---|---|\n| Ola | 555-0133 |\n"),
        *("When do we copy the archive, and what do we do when a copy is broken?", ["01:15", "Check the cable"], []),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file_name", "body", "task", "held", "absent"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)  # fmt: skip
async def test_a_report_gives_what_a_document_says(
    file_name: str, body: str | bytes, task: str, held: list[str], absent: list[str]
) -> None:
    async with library_of({file_name: body}) as library:
        written = await report_on(task, library)

    for text in held:
        assert text in written.text
    for text in absent:
        assert text not in written.text


async def test_a_text_in_an_unknown_encoding_is_read_right_or_refused() -> None:
    text = "Каждое утро мы поливаем сад. " * 4
    try:
        async with library_of({"a.txt": text.encode("cp1251")}) as library:
            written = await report_on("Когда мы поливаем сад?", library)
    except UnreadableDocument as refused:
        assert "charset" in refused.message
    else:
        assert "Каждое утро мы поливаем сад." in written.text
