"""Finding passages by what they mean: the extra `vectors`, where it is installed.

A document's vectors are made when it is added and stored with it. Passages that came in without
(before the extra was installed, say) get theirs in the background while the library is open, a few
at a time, and are found by their words until then.

Rule: all that takes time is handed to a database, in slices of at most about 20 ms; between two of
them whoever asked may leave.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from actors.errors import StorageUnavailable
from actors.library.database import Database
from actors.library.encoders import vector_statements
from actors.library.parsed import ParsedDocument
from actors.library.parsing.blocks import storable

if TYPE_CHECKING:
    from actors.library.encoders.embedding import Embedder

_LONGEST_QUERY = 4_000
_TEXTS_AT_ONCE = 16
_ROWS_AT_ONCE = 2_048
_PAUSE_S = 0.05
"""Between two slices of filling up, so that it takes about half of one processor at most."""

_REPAIR = "Try: pip install --force-reinstall 'terzetto[vectors]'"

_log = logging.getLogger(__name__)


@cache
def packaged_embedder() -> Embedder | None:
    """The embedder of the extra `vectors`; None where that is not installed, or broken."""
    package = find_spec("wordllama")
    if package is None or not package.submodule_search_locations:
        return None
    try:
        from actors.library.encoders.embedding import Embedder

        return Embedder(Path(package.submodule_search_locations[0]))
    except (OSError, ImportError) as error:
        _log.warning("Passages are found by their words only: %s. %s", error, _REPAIR)
        return None


def embeddable(title: str, section: str, text: str) -> str:
    """What of a passage goes into its vector."""
    return "\n".join(part for part in (title, section, text) if part)


class Vectors:
    """The vectors of one database. What takes time but no documents is done by `workshop`."""

    def __init__(self, embedder: Embedder, database: Database, workshop: Database) -> None:
        from actors.library.encoders.vector_index import VectorIndex

        self._embedder = embedder
        self._database = database
        self._compute = workshop.compute
        self._index = VectorIndex()
        self._dropped = 0
        self._refreshing = trio.Lock()

    async def adopt(self) -> None:
        """Forget vectors that another model made."""
        model = self._embedder.model
        if await self._database.read(vector_statements.model) != model:
            await self._database.write(partial(vector_statements.adopt, model=model))

    async def with_vectors(self, reading: ParsedDocument) -> ParsedDocument:
        """A document on its way into the library, with a vector for each of its passages."""
        title = reading.document.title
        texts = [embeddable(title, cut.section, cut.text) for cut in reading.cuts]
        return replace(reading, vectors=tuple(await self.embeddings(texts)))

    async def embeddings(self, texts: Sequence[str]) -> list[bytes]:
        """The vectors of texts, as they are stored."""
        found: list[bytes] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = texts[start : start + _TEXTS_AT_ONCE]
            found += await self._compute(partial(self._embedder.embeddings, part))
        return found

    async def fill(self, pause_s: float = 0.0) -> None:
        """Give a vector to every passage that has none."""
        if await self._database.read(vector_statements.is_complete):
            return
        after = 0
        while passages := await self._database.read(
            partial(vector_statements.bare, after=after, limit=_TEXTS_AT_ONCE)
        ):
            embeddings = await self.embeddings([embeddable(*row[1:]) for row in passages])
            await self._database.write(
                partial(vector_statements.clothe, passages=passages, embeddings=embeddings)
            )
            after = passages[-1][0]
            await trio.sleep(pause_s)

    async def fill_in_background(self) -> None:
        """The same beside other work; what could not be stored is tried again at the next start.

        First what is there is read, so that the first search need not.
        """
        try:
            async with self._refreshing:
                await self._refresh()
            await self.fill(_PAUSE_S)
        except StorageUnavailable as error:
            _log.warning("Some passages have no vectors yet: %s", error.message)

    async def nearest(self, query: str, most: int) -> dict[int, float]:
        """At most so many vectors by number, nearest to the query first, with their cosines."""
        text = storable(query[:_LONGEST_QUERY])
        vector = await self._compute(partial(self._embedder.vector, text))
        async with self._refreshing:
            await self._refresh()
            ranking = self._index.ranking(vector)
        while await self._compute(ranking.step):
            pass
        return await self._compute(partial(ranking.best, most))

    async def _refresh(self) -> None:
        """Bring the index to where the database is."""
        while True:
            room = min(_ROWS_AT_ONCE, self._index.room)
            newer = partial(vector_statements.newer, last=self._index.last, limit=room)
            rows, dropped = await self._database.read(newer)
            if not len(self._index):
                self._dropped = dropped
            if rows:
                await self._compute(partial(self._index.append, rows))
            elif dropped != self._dropped:
                left = await self._database.read(vector_statements.numbers)
                await self._compute(partial(self._index.keep, left))
                self._dropped = dropped
            else:
                return
