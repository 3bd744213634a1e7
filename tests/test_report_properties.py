"""What holds for every report: each sentence is its source's own, cited, and there once."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from actors.agents.extractive.planning import plan
from actors.agents.extractive.report import parts
from actors.agents.extractive.weighing import weigh
from actors.tasks.evidence import Evidence, Findings, Passage
from actors.tasks.report import numbered_sources

CITED = re.compile(r"(?P<text>.+) \[(?P<n>\d+)\]")

SUBJECTS = st.sampled_from(
    ["A frog", "The toad", "Each newt", "This", "It", "However, a frog", "frog"]
)
VERBS = st.sampled_from(["is", "eats", "likes", "has\n  seen", "was", "of"])
OBJECTS = st.sampled_from(
    ["water", "a [2] stone", "*wet* _skin_", "`code()`", "(one", "toads: many", "é 中文"]
)
SENTENCES = st.builds(
    "{} {} {} near {}{}".format, SUBJECTS, VERBS, OBJECTS, OBJECTS, st.sampled_from(".?:!")
)
TEXTS = st.lists(SENTENCES, max_size=8).map(" ".join)
PASSAGES = st.lists(
    st.builds(
        Passage,
        st.sampled_from("ab"),
        st.just("Frogs"),
        st.sampled_from(["", "Toads"]),
        st.integers(1, 5),
        TEXTS,
    ),
    max_size=8,
    unique_by=lambda p: (p.document_id, p.position),
)
TASKS = st.sampled_from(
    [
        "What is a frog?",
        "Compare frogs and toads, then recommend one",
        "How do frogs live near water, and how does that differ from newts?",
        "Explain frogs, toads and newts",
        "zeppelins",
    ]
)


def found(task: str, passages: list[Passage]) -> Findings:
    made = plan(task)
    return weigh(made, tuple(Evidence(question, tuple(passages)) for question in made.questions))


def collapsed(text: str) -> str:
    return " ".join(text.split())


def cited(task: str, findings: Findings) -> list[tuple[str, int]]:
    """Each sentence that the parts of the report cite, with its number, in order."""
    matches = [CITED.fullmatch(part.rstrip()) for part in parts(task, findings)]
    return [(match["text"], int(match["n"])) for match in matches if match]


@given(TASKS, PASSAGES)
def test_every_cited_sentence_stands_word_for_word_in_its_source(
    task: str, passages: list[Passage]
) -> None:
    findings = found(task, passages)
    by_number = {source.n: source for source in numbered_sources(findings.sources)}

    for text, number in cited(task, findings):
        assert text in collapsed(by_number[number].text)


@given(TASKS, PASSAGES)
def test_no_sentence_stands_twice(task: str, passages: list[Passage]) -> None:
    texts = [text.casefold() for text, _ in cited(task, found(task, passages))]

    assert len(texts) == len(set(texts))


@given(TASKS, PASSAGES)
def test_sources_are_numbered_by_first_citation(task: str, passages: list[Passage]) -> None:
    findings = found(task, passages)

    numbers = list(dict.fromkeys(number for _, number in cited(task, findings)))

    assert numbers == [source.n for source in numbered_sources(findings.sources)]
    assert numbers == list(range(1, len(numbers) + 1))


@given(TASKS, PASSAGES)
def test_every_finding_is_written_as_a_part_of_its_own(task: str, passages: list[Passage]) -> None:
    findings = found(task, passages)

    chosen = [*findings.answer, *(f for section in findings.sections for f in section.findings)]

    assert cited(task, findings) == [(finding.text, finding.source + 1) for finding in chosen]
