"""An encoder on onnxruntime: a model in ONNX form, and its tokenizer.

Rule: one thread, one text at a time. More of either is slower on most machines, and a model with
8-bit weights gives a text other numbers beside other texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from actors.library.encoders.encoder import EncoderUnavailable, PinnedFile, WeightsPackage

MOST_TOKENS = 256
"""A longer text is cut, unless a folder's `sentence_bert_config.json` says otherwise."""
MOST_CHARACTERS = 8_000

_HASHED = 16
"""Characters of the SHA-256 in the name of an encoder."""


class OnnxEncoder:
    """A sentence encoder from two files. `first_token`: that of the first token is the vector.

    Otherwise it is the mean over the tokens, unless the model itself gives one vector for a text.
    """

    def __init__(
        self,
        name: str,
        weights: Path,
        tokenizer: Path,
        *,
        tokens: int = MOST_TOKENS,
        first_token: bool = False,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(tokens)
            self._session = onnxruntime.InferenceSession(
                str(weights), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # Both libraries raise classes of their own for bad files.
            raise EncoderUnavailable(f"The encoder {name} cannot be loaded: {error}") from error
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._first_token = first_token
        self.name = name
        self.dimensions = int(self._vector("dimensions").shape[0])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A row of length 1 for each text; raises `EncoderUnavailable`."""
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[:] = self._vector(text)
        return rows

    def _vector(self, text: str) -> NDArray[np.float32]:
        try:
            # As a batch of one, since only then the tokenizer lets other threads run.
            (tokens,) = self._tokenizer.encode_batch_fast([text[:MOST_CHARACTERS]])
            ids = np.array([tokens.ids], np.int64)
            every = {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
            feeds = {name: every[name] for name in self._inputs}
            output: Any = self._session.run(None, feeds)[0]
        except Exception as error:  # Both libraries raise classes of their own.
            raise EncoderUnavailable(f"The encoder {self.name} failed: {error}") from error
        vector = output[0]
        if vector.ndim == 2:
            vector = vector[0] if self._first_token else vector.mean(axis=0)
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)


def from_folder(folder: Path) -> OnnxEncoder:
    """The encoder in a folder, as sentence-transformers and its ONNX exports write one."""
    weights = next(
        (at for at in (folder / "model.onnx", folder / "onnx" / "model.onnx") if at.is_file()),
        None,
    )
    tokenizer = folder / "tokenizer.json"
    if weights is None or not tokenizer.is_file():
        missing = "model.onnx" if weights is None else "tokenizer.json"
        raise EncoderUnavailable(f"The encoder's folder {folder} has no file {missing}.")
    pooling = _config(folder / "1_Pooling" / "config.json")
    tokens = _config(folder / "sentence_bert_config.json").get("max_seq_length")
    return OnnxEncoder(
        f"{folder.name} {_sha256(weights)[:_HASHED]}",
        weights,
        tokenizer,
        tokens=min(tokens, 512) if isinstance(tokens, int) and tokens > 0 else MOST_TOKENS,
        first_token=bool(pooling.get("pooling_mode_cls_token")),
    )


def from_package(name: str, package: WeightsPackage) -> OnnxEncoder:
    """The encoder of a package of weights; its files must be those that are pinned."""
    weights, tokenizer = (_pinned(one, package) for one in (package.weights, package.tokenizer))
    return OnnxEncoder(f"{name} {package.weights.sha256[:_HASHED]}", weights, tokenizer)


def _pinned(pinned: PinnedFile, package: WeightsPackage) -> Path:
    found = find_spec(pinned.module)
    if found is None or found.origin is None:
        raise EncoderUnavailable(
            f"The encoder's package {pinned.module} is not installed: {package.install}"
        )
    file = Path(found.origin).parent / pinned.path
    if not file.is_file() or _sha256(file) != pinned.sha256:
        raise EncoderUnavailable(
            f"{file} is missing or not the file that is known. Install it again: {package.install}"
        )
    return file


def _config(file: Path) -> dict[str, Any]:
    """A JSON object; {} if there is none."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
