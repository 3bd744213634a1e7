"""`Service` over HTTP: the client of a running Terzetto server.

Rule: it uses the documented API only. A stream that was cut is continued after the last line that
arrived, and an error response becomes the `ActorError` that has its code.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import trio

from actors.errors import CODES, ActorError, UnreadableDocument, error_with_code
from actors.fetching.fetcher import Page
from actors.library.parsing.media_types import media_type_of_file
from web.access.keys import Principal
from web.ndjson import LineSplitter, event_of, is_ending
from web.service import Outcome, ServerUnreachable, UnexpectedAnswer, outcome_of

RECONNECT_DELAYS_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
UNKNOWN_TYPE = "application/octet-stream"
"""The library decides by the name and the first bytes."""

SILENCE_S = 90.0
"""A stream without a line for this long is cut: a server sends a heartbeat at least every 60 s."""


class _Cursor:
    """The position in a stream, over all its connections."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.begun = False
        self.ended = False
        self.failures = 0

    def advance(self, event: dict[str, Any]) -> None:
        """Move past this event. Heartbeat and stream_closing lines have no seq."""
        if "seq" in event:
            self.after, self.ended = event["seq"], is_ending(event)
            self.begun, self.failures = True, 0
        elif event["event_type"] == "stream_closing":
            self.ended = event["data"]["reason"] == "deleted"


class HttpService:
    """`Service` by requests of the client `http`."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        reconnect_delays_s: tuple[float, ...] = RECONNECT_DELAYS_S,
        key: str = "",
    ) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._reconnect_delays_s = reconnect_delays_s

    def acting_for(self, principal: Principal) -> HttpService:
        """With the key of the principal, which the server knows as well."""
        return HttpService(self._http, self._reconnect_delays_s, principal.key)

    async def create(
        self,
        description: str,
        *,
        deadline_s: float | None = None,
        context_task_id: str | None = None,
    ) -> str:
        """POST /tasks. The key makes it safe to repeat the request if its answer is lost."""
        body: dict[str, Any] = {"task_description": description}
        if deadline_s is not None:
            body["deadline_s"] = deadline_s
        if context_task_id is not None:
            body["context_task_id"] = context_task_id
        key = {"Idempotency-Key": os.urandom(16).hex()}
        task = await self.ask("POST", "/tasks", json=body, headers=key)
        return str(task["task_id"])

    async def lines(self, task_id: str, after: int = 0) -> AsyncGenerator[bytes, None]:
        """POST /tasks/{id}/execute, repeated until the log has ended."""
        cursor = _Cursor(after)
        while not cursor.ended:
            lost: ActorError = ServerUnreachable(
                f"The server keeps closing the stream of {task_id}."
            )
            try:
                async with aclosing(self._stream(task_id, cursor.after)) as stream:
                    async for line in stream:
                        cursor.advance(event_of(line))
                        yield line
            except httpx.TransportError as error:
                lost = _unreachable(self._http, error)
            except ActorError as error:
                if not error.retryable:
                    raise
                lost = error
            if not cursor.ended:
                await self._pause(cursor, lost)

    async def _pause(self, cursor: _Cursor, lost: ActorError) -> None:
        """Wait before the next connection; raise `lost` if no event came or too many were lost."""
        if not cursor.begun or cursor.failures >= len(self._reconnect_delays_s):
            raise lost
        await trio.sleep(self._reconnect_delays_s[cursor.failures])
        cursor.failures += 1

    async def status(self, task_id: str) -> dict[str, Any]:
        """GET /tasks/{id}/status."""
        return await self.ask("GET", f"/tasks/{task_id}/status")

    async def cancel(self, task_id: str, reason: str | None = None) -> dict[str, Any]:
        """POST /tasks/{id}/cancel."""
        body = {} if reason is None else {"reason": reason}
        return await self.ask("POST", f"/tasks/{task_id}/cancel", json=body)

    async def search(self, q: str, limit: int = 10) -> list[dict[str, Any]]:
        """GET /documents/search."""
        params: dict[str, str | int] = {"q": q, "limit": limit}
        found = await self.ask("GET", "/documents/search", params=params)
        return list(found["results"])

    async def add(self, path: Path) -> tuple[dict[str, Any], Outcome]:
        """POST /documents as a form, which carries the name of the file."""
        kind = media_type_of_file(path) or UNKNOWN_TYPE
        try:
            content = await trio.Path(path).read_bytes()
        except OSError as error:
            raise UnreadableDocument(error.strerror or str(error)) from None
        return await self._add(path.name, content, kind, str(path.absolute()))

    async def add_page(self, page: Page) -> tuple[dict[str, Any], Outcome]:
        """POST /documents as a form, like a file."""
        kind = page.media_type or UNKNOWN_TYPE
        return await self._add(page.file_name, page.body, kind, page.url)

    async def _add(
        self, name: str, content: bytes, kind: str, source: str
    ) -> tuple[dict[str, Any], Outcome]:
        form = {"file": (name, content, kind)}
        response = await self._send("POST", "/documents", files=form, params={"source": source})
        document = _json(response)["documents"][0]
        return document, outcome_of(document, created=response.status_code == 201)

    async def documents_from(self, source: str) -> list[dict[str, Any]]:
        """GET /documents with `source`, page by page."""
        found: list[dict[str, Any]] = []
        params: dict[str, str | int] = {"source": source, "limit": 200}
        while True:
            page = await self.ask("GET", "/documents", params=params)
            found += page["documents"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    async def forget_source(self, source: str) -> list[dict[str, Any]]:
        """DELETE /documents with `source`."""
        answer = await self.ask("DELETE", "/documents", params={"source": source})
        return list(answer["documents"])

    async def library_counts(self) -> dict[str, int]:
        """GET /health."""
        return dict((await self.ask("GET", "/health")).get("library", {}))

    async def _stream(self, task_id: str, after: int) -> AsyncGenerator[bytes, None]:
        path = f"/tasks/{task_id}/execute"
        request = self._http.build_request(
            "POST", path, params={"after": after}, headers=self._headers
        )
        response = await self._http.send(request, stream=True)
        pieces = response.aiter_bytes()
        try:
            if response.is_error:
                await response.aread()
                raise _refusal(response)
            splitter = LineSplitter()
            async for piece in pieces:
                for line in splitter.feed(piece):
                    yield line
        finally:
            with trio.CancelScope(shield=True):
                await response.aclose()
                # httpx nests generators and does not close them. Read on, each finds the connection
                # closed and ends here, not when it is garbage-collected.
                with suppress(httpx.HTTPError, httpx.StreamError):
                    async for _ in pieces:
                        pass

    async def ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON object of an answer; raises the `ActorError` of a refusal."""
        return _json(await self._send(method, path, **request))

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            headers = {**self._headers, **request.pop("headers", {})}
            response = await self._http.request(method, path, headers=headers, **request)
        except httpx.TransportError as error:
            raise _unreachable(self._http, error) from None
        if response.is_error:
            raise _refusal(response)
        return response


@asynccontextmanager
async def open_http(url: str, key: str = "", *, here: bool = True) -> AsyncIterator[HttpService]:
    """A client of the server at `url`. Proxy settings are ignored for one that is `here`."""
    timeout = httpx.Timeout(SILENCE_S, connect=5.0)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(
        base_url=url, timeout=timeout, trust_env=not here, headers=headers
    ) as http:
        yield HttpService(http)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise UnexpectedAnswer(f"{response.url} did not answer with a JSON object.")
    return body


def _refusal(response: httpx.Response) -> ActorError:
    """The error of a problem+json body, in the class that has its code."""
    try:
        problem = response.json()
        code, detail = problem["code"], problem.get("detail") or problem["title"]
        reasons = [
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
            for error in problem.get("errors", [])
            if error["msg"] not in detail
        ]
    except (ValueError, KeyError, TypeError):
        return UnexpectedAnswer(f"{response.url} answered {response.status_code}.")
    message = " ".join([detail, *reasons])
    if code in CODES:
        return error_with_code(code, message)
    return UnexpectedAnswer(f"{message} ({response.status_code} {code})")


def _unreachable(http: httpx.AsyncClient, error: httpx.TransportError) -> ServerUnreachable:
    why = str(error) or type(error).__name__
    return ServerUnreachable(f"The server at {http.base_url} does not answer: {why}.")
