"""The title of a report.

Rule: it is what the person asked for, in their words, without courtesies.
"""

from __future__ import annotations

import re

from actors.agents.extractive.clauses import main_sentence
from actors.agents.extractive.orders import asked, politely_asked
from actors.tasks.planning import as_heading

_MAX_LENGTH = 120
_COMPARE = re.compile(r"^(?:compare|contrast)(?: and contrast)?\s+", re.IGNORECASE)


def headline(task_description: str) -> str:
    """A title for the report on this task, on one line."""
    sentence = main_sentence(task_description)
    title = politely_asked(sentence) if sentence.endswith("?") else asked(sentence)
    title = " ".join(_COMPARE.sub("", title, count=1).split()).rstrip(" .,;:!")
    if len(title) > _MAX_LENGTH:
        title = title[:_MAX_LENGTH].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"
    return as_heading(title) if title else "Report"
