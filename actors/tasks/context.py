"""What a follow-up task takes over from a completed task: its sources and the text of its report.

Rule: copied when the follow-up is created, so that deleting the first task loses nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import TypeAdapter

from actors.tasks.evidence import Passage, Report
from actors.tasks.life import Task

MOST_PARAGRAPHS = 24

_CITATION = re.compile(r"\s*\[\d+\]")


@dataclass(frozen=True, slots=True)
class Context:
    """The description of the completed task, and passages, best first."""

    about: str = ""
    passages: tuple[Passage, ...] = ()


NO_CONTEXT = Context()

CONTEXT = "context"
"""Where `dump_context` is stored, beside the outputs of the steps. Fields are only ever added."""

_CONTEXT = TypeAdapter(Context)


def dump_context(context: Context) -> bytes:
    """The context as JSON."""
    return _CONTEXT.dump_json(context)


def load_context(body: bytes | None) -> Context:
    """What `dump_context` wrote; an empty context if there is none."""
    return _CONTEXT.validate_json(body) if body else NO_CONTEXT


def context_of(task: Task, report: Report) -> Context:
    """The passages of a completed task: its sources, then paragraphs of its report."""
    sources = [
        Passage(s.document_id, s.title, s.section, s.position, s.text, start=s.start, end=s.end)
        for s in report.sources
    ]
    known = " ".join(" ".join(source.text.split()) for source in sources)
    title, paragraphs = _read(task.final_output or "")
    own = [text for text in paragraphs if " ".join(text.split()) not in known]
    said = [
        Passage(f"task:{task.task_id}", title, "", number, text)
        for number, text in enumerate(own[:MOST_PARAGRAPHS], start=1)
    ]
    return Context(task.task_description, (*sources, *said))


def _read(report: str) -> tuple[str, list[str]]:
    """The title of a report, and its paragraphs without headings, citations and sources."""
    title, paragraphs = "Report", []
    for block in report.partition("\n## Sources\n")[0].split("\n\n"):
        if block.startswith("# "):
            title = block[2:].strip()
        elif block.strip() and not block.startswith(("#", "*This report")):
            paragraphs.append(_CITATION.sub("", block).strip())
    return title, paragraphs
