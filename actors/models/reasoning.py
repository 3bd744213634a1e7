"""What a model thinks before it answers, where its server leaves that in the text.

    <think>The task asks for ...</think>## Answer ...

Some chat templates write the opening mark themselves, so that only the closing one is seen, on a
line of its own. By then thoughts may have been shown as the answer: that is a failure, and the next
answer of that model is held back until its thoughts have ended.

Rule: thoughts are looked for at the beginning of an answer only. Further on, a pair of marks is text
that the answer speaks of.
"""

from __future__ import annotations

import re
from typing import Literal

_NAMES = ("think", "thinking", "thought", "reasoning")
_OPENING = tuple(f"<{name}>" for name in _NAMES)
_OPENED = re.compile("|".join(_OPENING))
_CLOSING = re.compile(rf"</(?:{'|'.join(_NAMES)})>")
_STRAY = re.compile(rf"\n[ \t]*{_CLOSING.pattern}[ \t]*\n")
_TAIL = 32
"""Characters in which the beginning of a mark may stand."""


class UnopenedThoughts(Exception):
    """What was taken for the answer were thoughts."""


class Thoughts:
    """Takes a model's text in pieces, and gives what is no thought.

    With `held_back`, the text before a closing mark is thought even if no mark has opened it; if
    there is none, all of it comes at the end. An object of JSON is an answer in any case.
    """

    def __init__(self, *, held_back: bool = False) -> None:
        self._state: Literal["beginning", "thought", "held back", "answer"] = "beginning"
        self._holds_back = held_back
        self._looks_on = True
        self._held: list[str] = []
        self._tail = ""
        self.unopened = False
        """Whether thoughts have ended that no mark had opened."""

    def feed(self, text: str) -> str:
        """What is known to be of the answer by now; raises `UnopenedThoughts`."""
        if self._state == "answer":
            return self._watched(text)
        if self._state == "beginning":
            return self._begun(text)
        window, self._tail = self._tail + text, (self._tail + text)[-_TAIL:]
        if self._state == "held back":
            self._held.append(text)
            if _OPENED.search(window):  # No thought: it speaks of the marks.
                self._state, self._tail = "answer", ""
                return self._watched(self.finish())
        closed = _CLOSING.search(window)
        if closed is None:
            return ""
        self.unopened = self._state == "held back"
        self._state, self._tail = "answer", ""
        self._held.clear()
        return self._watched(window[closed.end() :].lstrip())

    def finish(self) -> str:
        """What was held back and is of the answer, at its end."""
        held = "".join(self._held)
        self._held.clear()
        return held

    def _begun(self, text: str) -> str:
        self._held.append(text)
        if not text.strip():
            return ""
        held = "".join(self._held)
        bare = held.lstrip()
        if any(mark.startswith(bare) for mark in _OPENING):
            return ""
        if bare.startswith(_OPENING):
            self._state = "thought"
            self._held.clear()
            return self.feed(bare)
        if self._holds_back and not bare.startswith("{"):
            self._state = "held back"
            self._held.clear()
            return self.feed(held)
        self._state = "answer"
        self._held.clear()
        return self._watched(held)

    def _watched(self, text: str) -> str:
        if self._looks_on:
            window, self._tail = self._tail + text, (self._tail + text)[-_TAIL:]
            opened, closed = _OPENED.search(window), _STRAY.search(window)
            if closed and not (opened and opened.start() < closed.start()):
                self.unopened = True
                raise UnopenedThoughts
            self._looks_on = opened is None
        return text
