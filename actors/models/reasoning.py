"""Remove a model's reasoning from its text, for servers that leave it there.

    <think>The task asks for ...</think>## Answer ...

Some chat templates write the opening tag themselves, so that the text has only the closing tag, on
a line of its own. By then reasoning may have been streamed as the answer. That is a failure, and
the next answer of the model is held back until its reasoning has ended.

Rule: only the beginning of an answer is searched for reasoning. A pair of tags further on is a part
of the answer.
"""

from __future__ import annotations

import re
from typing import Literal

_TAGS = ("think", "thinking", "thought", "reasoning")
_OPENING = tuple(f"<{tag}>" for tag in _TAGS)
_OPENED = re.compile("|".join(_OPENING))
_CLOSING = re.compile(rf"</(?:{'|'.join(_TAGS)})>")
_STRAY = re.compile(rf"\n[ \t]*{_CLOSING.pattern}[ \t]*\n")
_TAIL = 32
"""Characters that may hold the beginning of a tag."""


class UnopenedReasoning(Exception):
    """Text that was taken for the answer was reasoning."""


class ReasoningFilter:
    """Takes a model's text in deltas, and returns the text without the reasoning.

    With `held_back`, text before a closing tag is reasoning even without an opening tag, so nothing
    is returned until that tag or the end has come. A JSON object is an answer in any case.
    """

    def __init__(self, *, held_back: bool = False) -> None:
        self._state: Literal["beginning", "reasoning", "held back", "answer"] = "beginning"
        self._holds_back = held_back
        self._searches_stray = True
        self._held: list[str] = []
        self._tail = ""
        self.unopened = False
        """Whether reasoning has ended that no tag had opened."""

    def feed(self, text: str) -> str:
        """The text that is known to be answer by now; raises `UnopenedReasoning`."""
        if self._state == "answer":
            return self._checked(text)
        if self._state == "beginning":
            return self._begin(text)
        window, self._tail = self._tail + text, (self._tail + text)[-_TAIL:]
        if self._state == "held back":
            self._held.append(text)
            if _OPENED.search(window):  # No reasoning: the answer writes about the tags.
                self._state, self._tail = "answer", ""
                return self._checked(self.finish())
        closed = _CLOSING.search(window)
        if closed is None:
            return ""
        self.unopened = self._state == "held back"
        self._state, self._tail = "answer", ""
        self._held.clear()
        return self._checked(window[closed.end() :].lstrip())

    def finish(self) -> str:
        """The text that was held back and is answer, at its end."""
        held = "".join(self._held)
        self._held.clear()
        return held

    def _begin(self, text: str) -> str:
        self._held.append(text)
        if not text.strip():
            return ""
        held = "".join(self._held)
        bare = held.lstrip()
        if any(tag.startswith(bare) for tag in _OPENING):
            return ""
        self._held.clear()
        if bare.startswith(_OPENING):
            self._state = "reasoning"
            return self.feed(bare)
        if self._holds_back and not bare.startswith("{"):
            self._state = "held back"
            return self.feed(held)
        self._state = "answer"
        return self._checked(held)

    def _checked(self, text: str) -> str:
        """The text; raises `UnopenedReasoning` if it has a closing tag without an opening one."""
        if self._searches_stray:
            window, self._tail = self._tail + text, (self._tail + text)[-_TAIL:]
            opened, closed = _OPENED.search(window), _STRAY.search(window)
            if closed and not (opened and opened.start() < closed.start()):
                self.unopened = True
                raise UnopenedReasoning
            self._searches_stray = opened is None
        return text
