"""The encoder of a library in its worker thread: loaded at first use, one call at a time.

Rule: an encoder that is missing or fails costs answers their meaning, never a task. The log says so
once, `problem` as long as it lasts, and it is tried again after a while.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import trio

from actors.library.encoders.encoder import Encoder, EncoderUnavailable, LoadEncoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUERY_S = 3.0
"""The time that an encoder may add to one question."""
RETRY_S = 30.0
"""An encoder that has failed is left alone for this long."""

_POLL_S = 0.05

_UNRELATED = (
    "The ferry to the island leaves at noon.",
    "Preheat the oven and grease a baking tin.",
    "A compiler translates source code into machine code.",
    "The court adjourned the hearing until Tuesday.",
    "Her grandmother played the violin in an orchestra.",
    "Interest rates rose by a quarter of a point.",
    "Most beetles have two pairs of wings.",
    "The goalkeeper was injured in the second half.",
)
"""Sentences about different things. The mean cosine between them is a model's zero."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """An encoder, and the cosine of texts that have nothing to do with each other."""

    encoder: Encoder
    unrelated: float

    def similarity(self, cosine: float) -> float:
        """A cosine on the scale of all models: 0 for unrelated texts, 1 for the same."""
        return (cosine - self.unrelated) / (1 - self.unrelated)


class EncoderWorker:
    """Calls an encoder in a thread."""

    def __init__(
        self, load: LoadEncoder, *, query_s: float = QUERY_S, retry_s: float = RETRY_S
    ) -> None:
        self.query_s = query_s
        self.retry_s = retry_s
        self._load = load
        self._loaded: LoadedEncoder | None = None
        self._one_at_a_time = trio.CapacityLimiter(1)
        self._loading = trio.Lock()
        self._failed_at = -inf
        self._warned = ""
        self._urgent = 0
        self.problem = ""

    @property
    def current(self) -> LoadedEncoder | None:
        """The encoder, if it is loaded."""
        return self._loaded

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """A question waits in the block, so `idle` waits."""
        self._urgent += 1
        try:
            yield
        finally:
            self._urgent -= 1

    async def idle(self) -> None:
        """Return when no question waits."""
        while self._urgent:
            await trio.sleep(_POLL_S)

    async def loaded(self) -> LoadedEncoder | None:
        """The encoder, loaded if it was not; None if that fails, or failed a moment ago."""
        async with self._loading:
            if self._loaded is None and not self._rests():
                try:
                    self._loaded = await trio.to_thread.run_sync(
                        partial(_loaded, self._load),
                        limiter=self._one_at_a_time,
                        abandon_on_cancel=True,  # A download may take minutes.
                    )
                except EncoderUnavailable as error:
                    self._failed(error)
        return self._loaded

    async def encode(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """A vector for each text; None if the encoder fails, or failed a moment ago."""
        loaded = await self.loaded()
        if loaded is None or self._rests():
            return None
        try:
            vectors = await trio.to_thread.run_sync(
                partial(loaded.encoder.encode, texts),
                limiter=self._one_at_a_time,
                abandon_on_cancel=True,
            )
        except EncoderUnavailable as error:
            self._failed(error)
            return None
        self.problem = ""
        return vectors

    def _rests(self) -> bool:
        return bool(self.problem) and trio.current_time() < self._failed_at + self.retry_s

    def _failed(self, error: EncoderUnavailable) -> None:
        self._failed_at = trio.current_time()
        self.problem = f"Answers are chosen by words alone. {error}"
        if self._warned != self.problem:
            self._warned = self.problem
            log.warning("%s", self.problem)


def _loaded(load: LoadEncoder) -> LoadedEncoder:
    try:
        encoder = load()
    except EncoderUnavailable:
        raise
    except (
        Exception
    ) as error:  # Packages of other people may raise anything when they are imported.
        raise EncoderUnavailable(f"The encoder cannot be loaded: {error!r}") from error
    vectors = encoder.encode(_UNRELATED)
    count = len(_UNRELATED)
    alike = float((vectors @ vectors.T).sum()) - count
    return LoadedEncoder(encoder, min(max(alike / (count * (count - 1)), 0.0), 0.95))
