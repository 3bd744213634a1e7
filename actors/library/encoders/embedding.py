"""Texts as vectors: the mean of the vectors of their tokens, from weights on this machine.

The weights are WordLlama's (`l2_supercat`, 256 dimensions; static embeddings that were distilled
from a language model's token table), which the extra `vectors` installs. Only the files of that
package are read: its own loader uses the network, and importing it configures logging.

A vector is kept as 256 signed bytes, scaled so that its largest number is 127 or -127: a quarter of
what 32-bit numbers take, with cosines that differ by less than 0.01. Its length means nothing.

Rule: the same text gives the same bytes. Nothing here waits, and nothing uses the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

DIMENSIONS = 256
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_WEIGHTS = "weights/l2_supercat_256.safetensors"

Vector = NDArray[np.float32]


class Embedder:
    """A tokenizer and a table with a vector for each token. Threads may share it.

    `model` names both: vectors of different models cannot be compared.
    """

    model = "wordllama l2_supercat 256 int8"

    def __init__(self, package: Path) -> None:
        """From WordLlama's folder; raises `OSError` if a file that it needs is missing."""
        for name in (_TOKENIZER, _WEIGHTS):
            if not (package / name).is_file():
                raise FileNotFoundError(f"{name} is not in the installed package wordllama")
        self._tokenizer = Tokenizer.from_file(str(package / _TOKENIZER))
        self._table = load_file(package / _WEIGHTS)["embedding.weight"].astype(np.float32)

    def vector(self, text: str) -> Vector:
        """The direction of a text, of length 1; zeros if it has no tokens."""
        (vector,) = self._vectors([text])
        return vector

    def embeddings(self, texts: Sequence[str]) -> list[bytes]:
        """The vectors of texts as they are stored."""
        return [packed(vector) for vector in self._vectors(texts)]

    def _vectors(self, texts: Sequence[str]) -> Iterator[Vector]:
        """Encodes in batches, because only then the tokenizer lets other threads run."""
        for encoding in self._tokenizer.encode_batch_fast([*texts], add_special_tokens=False):
            total = self._table[encoding.ids].sum(axis=0)
            yield total / max(float(np.linalg.norm(total)), 1e-9)


def packed(vector: Vector) -> bytes:
    """A vector as signed bytes."""
    largest = max(float(np.abs(vector).max()), 1e-9)
    return bytes(np.rint(vector * (127 / largest)).astype(np.int8).tobytes())


def unpacked(embeddings: Sequence[bytes]) -> NDArray[np.int8]:
    """Stored vectors as the rows of a matrix."""
    return np.frombuffer(b"".join(embeddings), np.int8).reshape(-1, DIMENSIONS)
