"""An encoder behind an endpoint that speaks OpenAI's embeddings API.

Rule: an answer is bounded and checked. The key comes from `OPENAI_API_KEY`, if that is set, and
stands in no error text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from actors.library.encoders.encoder import EncoderUnavailable
from actors.library.encoders.vectors import unit_rows

KEY_VARIABLE = "OPENAI_API_KEY"
TIMEOUT_S = 30.0
MOST_TEXTS = 32
MOST_BYTES = 16 * 1024 * 1024
MOST_CHARACTERS = 4_000
"""A longer text is cut: endpoints refuse texts that are too long for their model."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class EndpointEncoder:
    """A model at an endpoint; its first answer tells the dimensions."""

    def __init__(self, url: str, model: str) -> None:
        url = url.rstrip("/")
        self._url = url if url.endswith("/embeddings") else f"{url}/embeddings"
        self._model = model
        key = os.environ.get(KEY_VARIABLE, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # A server on this machine is never reached through a proxy.
        direct = urlsplit(self._url).hostname in _LOOPBACK
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_S, trust_env=not direct)
        self.name = f"{self._url} {model}".strip()
        self.dimensions = 0
        self.dimensions = int(self.encode(["dimensions"]).shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A row of length 1 for each text; raises `EncoderUnavailable`."""
        parts = [
            self._encode([text[:MOST_CHARACTERS] for text in texts[start : start + MOST_TEXTS]])
            for start in range(0, len(texts), MOST_TEXTS)
        ]
        rows = np.concatenate(parts) if parts else np.zeros((0, self.dimensions), np.float32)
        return unit_rows(rows)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        body = {"input": texts, "encoding_format": "float"}
        if self._model:
            body["model"] = self._model
        try:
            answer = self._post(body)
        except (httpx.HTTPError, ValueError) as error:
            raise EncoderUnavailable(
                f"The encoder at {self._url} does not answer: {str(error) or type(error).__name__}"
            ) from error
        try:
            ordered = sorted(answer["data"], key=lambda one: one["index"])
            rows = np.array([one["embedding"] for one in ordered], np.float32)
            is_right = rows.shape == (len(texts), self.dimensions or rows.shape[1])
        except (KeyError, TypeError, ValueError, IndexError):
            is_right = False
        if not is_right or not np.isfinite(rows).all():
            raise EncoderUnavailable(
                f"The encoder at {self._url} answered with something else than {len(texts)} "
                "embeddings of one length. Is it an address of /v1/embeddings?"
            )
        return rows

    def _post(self, body: dict[str, Any]) -> Any:
        """The JSON of the answer; raises `httpx.HTTPError` and `ValueError`."""
        with self._client.stream("POST", self._url, json=body) as response:
            if response.status_code != 200:
                raise ValueError(f"it answered {response.status_code}")
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise ValueError("its answer is too long")
        return json.loads(content)
