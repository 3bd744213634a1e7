"""Lines of a tool server: messages, replies that cannot be read, and replies to nothing.

The SDK drops what it cannot read or assign, and the request waits for its whole timeout.

Rule: every reply ends a request at once. Text with lone surrogates or broken UTF-8 is read with
replacement characters. A reply that does not follow the protocol becomes an error of its request.
Over pipes a reply whose id does not wait becomes an error of every request that does, because one of
them is meant; over HTTP the request is known, since the reply comes in its response.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import mcp_types as types

CANCELLED = "notifications/cancelled"
UNREADABLE = "Its answer does not follow the protocol."
UNKNOWN_ID = "It answered a request that it was not sent."

Reply = types.JSONRPCResponse | types.JSONRPCError


MAX_CANCELLED = 1_024
"""Cancelled requests whose late replies are recognised."""


class Requests:
    """The requests that a session has sent and that wait for a reply."""

    def __init__(self) -> None:
        self._waiting: dict[str, types.RequestId] = {}
        self._cancelled: deque[str] = deque(maxlen=MAX_CANCELLED)

    def sent(self, message: types.JSONRPCMessage) -> None:
        """Note a message of the session."""
        if isinstance(message, types.JSONRPCRequest):
            self._waiting[str(message.id)] = message.id
        elif isinstance(message, types.JSONRPCNotification) and message.method == CANCELLED:
            key = str((message.params or {}).get("requestId"))
            if self._waiting.pop(key, None) is not None:
                self._cancelled.append(key)

    def received(self, line: bytes) -> Iterator[types.JSONRPCMessage]:
        """The messages to give to the session for a line; none if it is no message."""
        message = _read(line)
        if not isinstance(message, Reply):
            if message is not None:
                yield message
            return
        key = str(message.id)
        if self._waiting.pop(key, None) is not None or key in self._cancelled:
            yield message
            return
        waiting, self._waiting = list(self._waiting.values()), {}
        for request_id in waiting:
            yield _error(request_id, UNKNOWN_ID)


def reply_to(request_id: types.RequestId, body: bytes) -> bytes:
    """The body of an HTTP response as the reply to this request; an error if it is none."""
    message = _read(body)
    if isinstance(message, types.JSONRPCError):
        message.id = request_id  # It may be null: then the server could not read the request.
    elif not isinstance(message, types.JSONRPCResponse):
        message = _error(request_id, UNREADABLE)
    elif str(message.id) != str(request_id):
        message = _error(request_id, UNKNOWN_ID)
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode()


def _read(line: bytes) -> types.JSONRPCMessage | None:
    try:
        return types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        pass
    try:  # Python's parser takes lone surrogates, which are replaced then.
        value: Any = json.loads(line.decode(errors="replace"))
        clean = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    except (ValueError, RecursionError):
        return None
    try:
        return types.jsonrpc_message_adapter.validate_json(clean, by_name=False)
    except ValueError:
        is_reply = isinstance(value, dict) and "id" in value and "method" not in value
        return _error(value["id"], UNREADABLE) if is_reply else None


def _error(request_id: Any, reason: str) -> types.JSONRPCError:
    known = request_id if isinstance(request_id, int | str) else None
    error = types.ErrorData(code=types.INVALID_REQUEST, message=reason)
    return types.JSONRPCError(jsonrpc="2.0", id=known, error=error)
