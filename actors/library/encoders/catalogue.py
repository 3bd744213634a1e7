"""An encoder of fastembed's catalogue, downloaded at its first use and kept.

Rule: a model that is in the cache needs no network. fastembed shows the progress of a download.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastembed import TextEmbedding
from numpy.typing import NDArray

from actors.library.encoders.encoder import EncoderUnavailable
from actors.library.encoders.vectors import unit_rows

log = logging.getLogger(__name__)


class CatalogueEncoder:
    """A model that fastembed knows by name; its files are in `folder` if that is given."""

    def __init__(self, model: str, cache: Path, folder: Path | None = None) -> None:
        sizes = {one["model"]: one["size_in_GB"] for one in TextEmbedding.list_supported_models()}
        if model not in sizes:
            raise EncoderUnavailable(
                f"fastembed's catalogue has no encoder {model}. It has, for example, "
                "sentence-transformers/all-MiniLM-L6-v2."
            )
        self._options: dict[str, Any] = {"cache_dir": str(cache), "threads": 1}
        if folder is not None:
            self._options["specific_model_path"] = str(folder)
        try:
            self._model = TextEmbedding(model, **self._options, local_files_only=True)
        except Exception:  # noqa: BLE001 - fastembed raises many classes; any means: not in the cache.
            log.info("downloading the encoder %s, about %.0f MB", model, 1000 * sizes[model])
            self._model = self._download(model)
        self.name = f"fastembed {model}"
        self.dimensions = int(self.encode(["dimensions"]).shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A row of length 1 for each text; raises `EncoderUnavailable`."""
        try:
            rows = np.array(list(self._model.embed(texts, batch_size=1)), np.float32)
        except Exception as error:  # fastembed and onnxruntime raise classes of their own.
            raise EncoderUnavailable(f"The encoder {self.name} failed: {error}") from error
        return unit_rows(rows)

    def _download(self, model: str) -> TextEmbedding:
        try:
            return TextEmbedding(model, **self._options)
        except Exception as error:  # fastembed raises many classes.
            raise EncoderUnavailable(
                f"The encoder {model} cannot be downloaded: {error}. Name a folder with model.onnx "
                "and tokenizer.json instead, or an endpoint."
            ) from error
