"""Whatever a person writes and whatever stands in the documents: the task completes, with a sound log.

TERZETTO_FUZZ_EXAMPLES=200 runs more of them for a longer look.
"""

from __future__ import annotations

import os
from typing import Any

import trio
from hostile_texts import UNITS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_parsing_properties import PIECES

from actors import Settings, open_system
from actors.errors import ActorError, InvalidRequest
from actors.tasks.events import Stamped
from actors.testing import check_log

EXAMPLES = int(os.environ.get("TERZETTO_FUZZ_EXAMPLES", "6"))
GUARD_S = 60.0

ODD = ["\0", "\ud800", "\u202e", "\x1b[31m", "[1]", "](http://a.example)", "![x]", "<b>", "\u2028"]
PARTS = st.one_of(st.sampled_from([*UNITS, *ODD, "frog ", "pond? "]), st.text(max_size=12))
TASKS = st.builds(
    lambda parts, times: ("".join(parts) * times)[:20_000],
    st.lists(PARTS, min_size=1, max_size=12),
    st.sampled_from([1, 1, 3, 2_000]),
)


@st.composite
def documents(draw: Any) -> tuple[bytes, str]:
    """The bytes and the media type of a document that is nearly one of its format."""
    media_type = draw(st.sampled_from(list(PIECES)))
    pieces = st.one_of(st.sampled_from(PIECES[media_type]), PARTS)
    text = "".join(draw(st.lists(pieces, max_size=60))) * draw(st.sampled_from([1, 20]))
    return text.encode(errors="replace"), media_type


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(given_documents=st.lists(documents(), max_size=4), texts=st.lists(TASKS, max_size=3))
async def test_any_task_on_any_documents_completes(
    given_documents: list[tuple[bytes, str]], texts: list[str]
) -> None:
    with trio.fail_after(GUARD_S):
        async with open_system(Settings(data_dir=None, fetch_urls_in_tasks=False)) as system:
            for body, media_type in given_documents:
                try:
                    await system.library.add(body, media_type=media_type)
                except ActorError as refused:
                    assert refused.message
            for text in texts:
                try:
                    task = await system.create(text)
                except InvalidRequest:
                    continue  # Blank, or with what no text may hold.
                log: list[Stamped] = [event async for event in system.execute(task.task_id)]
                assert check_log(event.line() for event in log) == "completed"
                assert not log[-1].data["degraded"]
                log[-1].data["final_output"].encode()
