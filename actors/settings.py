"""What can be set about a system of actors.

Rule: every field has a description, a range and a default, and the unit is in its name. A `Settings`
that exists is valid and never changes; where its values came from is the command line's business.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)]
Mailbox = Annotated[int, Field(ge=1, le=65_536)]
Concurrency = Annotated[int, Field(ge=1, le=1_024)]


class Settings(BaseModel):
    """The bounds and times of one system. `data_dir=None` keeps everything in memory."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data_dir: Path | None = Field(
        default=None, description="Folder with the log and the library; none: everything in memory."
    )

    max_running_tasks: int = Field(
        default=256, ge=1, le=65_536, description="Tasks that run at the same time."
    )
    max_queued_tasks: int = Field(
        default=1_024, ge=0, le=1_000_000, description="Tasks that wait for a slot; past it: 503."
    )
    max_pending_tasks: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description="Tasks created and not yet executed; past it: 503.",
    )

    retry_delays_s: tuple[Seconds, ...] = Field(
        default=(0.0, 0.1, 0.2, 0.4),
        max_length=16,
        description="Waits before the second, third, ... attempt of a step; none: one attempt.",
    )
    retry_jitter: float = Field(
        default=0.0, ge=0, le=1, description="Share of a wait that is left to chance, 0 for none."
    )
    step_timeout_s: float = Field(
        default=120.0,
        ge=0.01,
        le=86_400,
        description="Time for one attempt of a step, from its start.",
    )
    max_task_s: float = Field(
        default=86_400.0,
        ge=1,
        le=86_400,
        description="Time for a whole task unless it brings a deadline.",
    )

    analyzer_mailbox: Mailbox = Field(
        default=64, description="Requests that may wait for the analyzer."
    )
    analyzer_concurrency: Concurrency = Field(
        default=4, description="Requests the analyzer works on at the same time."
    )
    retriever_mailbox: Mailbox = Field(
        default=64, description="Requests that may wait for the retriever."
    )
    retriever_concurrency: Concurrency = Field(
        default=8, description="Requests the retriever works on at the same time."
    )
    writer_mailbox: Mailbox = Field(
        default=64, description="Requests that may wait for the writer."
    )
    writer_concurrency: Concurrency = Field(
        default=8, description="Requests the writer works on at the same time."
    )

    retrieved_passages: int = Field(
        default=24,
        ge=1,
        le=100,
        description="Passages the retriever fetches for one question, at most.",
    )
    max_output_bytes: int = Field(
        default=262_144, ge=1_024, le=262_144, description="Text a task may write, in UTF-8."
    )

    fetch_private: bool = Field(
        default=False, description="Fetch from private networks, too; this machine is one."
    )
    fetch_timeout_s: float = Field(
        default=20.0, ge=0.1, le=600, description="Time to fetch a web page, redirects included."
    )
    fetch_max_bytes: int = Field(
        default=10_485_760,
        ge=4_096,
        le=33_554_432,
        description="Size of a web page, as it comes and unpacked.",
    )
    fetch_urls_in_tasks: bool = Field(
        default=True, description="Fetch the web pages that the text of a task names."
    )

    tail_events: int = Field(
        default=256,
        ge=1,
        le=65_536,
        description="Events of a live task kept in memory for its readers.",
    )
    tail_bytes: int = Field(
        default=262_144,
        ge=4_096,
        le=67_108_864,
        description="Bytes of a live task's events kept in memory.",
    )
    ahead_events: int = Field(
        default=64, ge=1, le=4_096, description="Events a run may be ahead of the disk."
    )
    ahead_bytes: int = Field(
        default=65_536,
        ge=4_096,
        le=524_288,
        description="Bytes of events a run may be ahead of the disk.",
    )

    cancel_timeout_s: float = Field(
        default=10.0, ge=0.1, le=600, description="Time in which cancelled work must have stopped."
    )
    grace_s: float = Field(
        default=10.0, ge=0, le=600, description="Time that running steps get when the system stops."
    )
    room_wait_s: float = Field(
        default=2.0, ge=0, le=60, description="Time a request waits for room in a full mailbox."
    )
