"""Folders as sources: remove the documents whose files are gone from a folder that is ingested again.

Rule: a folder that is not mounted, or was emptied by mistake, must not empty the library. So documents
are removed only if the folder could be read, is not empty, and at most half of its documents would go,
or if `--prune` is given. Renamed files keep their documents, as these are the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from actors.errors import DocumentNotFound
from web.command.document_files import FoundFiles, is_gone
from web.command.ingest_result import IngestResult, Unpruned
from web.service import Service

Documents = list[dict[str, Any]]

MAX_SHARE = 0.5
"""The largest share of a folder's documents that is removed without being asked for."""


async def documents_of_folders(service: Service, found: FoundFiles) -> dict[Path, Documents]:
    """The documents that came from each named folder, or from a named path that is not there."""
    paths = [*found.folders, *found.missing]
    return {path: await service.documents_from(str(path)) for path in paths}


async def prune_folders(
    service: Service, found: FoundFiles, known: Mapping[Path, Documents], result: IngestResult
) -> None:
    """Remove what is gone from the folders. `known` are their documents from before."""
    for folder, before in known.items():
        if folder in found.missing and not (before and result.prune):
            result.missing = True
            result.unreadable.append((folder, "No such file or directory"))
        if before:
            await _prune_folder(service, found, folder, before, result)


async def _prune_folder(
    service: Service, found: FoundFiles, folder: Path, before: Documents, result: IngestResult
) -> None:
    unreadable = {path for path, _ in found.unreadable}
    sources = _sources_in(folder, before)
    gone = {source for source in sources if _is_gone(Path(source), unreadable)}
    there = (source for source in sources if source not in gone)
    result.ignored += [file for file in there if _is_among(Path(file), found.ignored)]
    if not gone:
        return
    documents = await service.documents_from(str(folder))
    going = [one for one in documents if not one["uploaded"] and gone.issuperset(one["sources"])]
    is_empty = not any(_is_among(path, {folder}) for path in (*found.files, *unreadable))
    too_many = len(going) > MAX_SHARE * len(before)
    if (is_empty or too_many) and not result.prune:
        if going:
            files = sorted(source for one in going for source in one["sources"])
            result.unpruned.append(Unpruned(folder, len(before), files))
        return
    new = {str(path) for path in found.files} - set(sources)
    renamed = [d for d in documents if gone & set(d["sources"]) and new & set(d["sources"])]
    result.renamed += len(renamed)
    result.unchanged = max(result.unchanged - len(renamed), 0)
    for source in sorted(gone):
        result.removed += [source] * len(await _forget(service, source))


async def _forget(service: Service, source: str) -> Documents:
    try:
        return await service.forget_source(source)
    except DocumentNotFound:  # Another program was faster.
        return []


def _sources_in(folder: Path, documents: Documents) -> list[str]:
    """The sources of documents that are files in this folder, sorted."""
    every = {source for one in documents for source in one["sources"]}
    return sorted(source for source in every if _is_among(Path(source), {folder}))


def _is_among(path: Path, places: Collection[Path]) -> bool:
    """Whether a path is one of these or is below one of them."""
    return path in places or any(parent in places for parent in path.parents)


def _is_gone(path: Path, unreadable: set[Path]) -> bool:
    """Whether the file is not there any more. What is below an unreadable folder may be there."""
    return not _is_among(path, unreadable) and is_gone(path)
