"""Texts and evidence that cost the analyzer most."""

from __future__ import annotations

from actors.messages import Synthesize
from actors.tasks.evidence import Evidence, Excerpt, Passage
from actors.tasks.plan import Plan

UNITS = (
    *(
        "i.e. e.g. etc. ",
        "no. 1  =",
        "fig. 2.",
        "Dr. ",
        "A. ",
        "? ",
        "。",
        "\n- a",
        "\n",
        "\t",
        "a",
    ),
    *("and how ", "compare a and b ", "between ", "vs ", "a vs ", "x or ", "a.b.", "a-", "(", "`"),
    *("é", "Ä", "日本", "한", "ก", "\u0301", "\u00ad", "😀", "1) ", "und wie ", "Ab vs ", "a/"),
)
"""What hostile texts repeat."""

LONG = 200 * "Frogs sing 3,000 songs at night; herons listen. "


def hard_choice(plan: Plan) -> Synthesize:
    """As much evidence as a search gives: 14 passages and 200 excerpts for each question."""
    passages = tuple(Passage(f"d{n}", "Frogs", "Songs", 1, LONG[:1_500], 5.0) for n in range(14))
    excerpts = tuple(
        Excerpt(f"d{n % 14}", "Frogs", ("Songs",), 1, 0, 9, "paragraph", f"{n} {LONG[:1_500]}")
        for n in range(200)
    )
    evidence = tuple(Evidence(q, passages, excerpts=excerpts, units=9_000) for q in plan.questions)
    return Synthesize("k", "Frogs?", plan, evidence)
