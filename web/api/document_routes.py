"""The routes of the document library.

Rule: parse, ask, render. An answer means that the document is durable and searchable.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from werkzeug.datastructures import FileStorage

from actors.errors import ActorError
from actors.library.documents import Added
from actors.library.parsing.media_types import check_media_type
from web.api import views
from web.api.bodies import form_files, json_body, read_body
from web.api.exchange import ApiResponse
from web.api.problems import Fault, RequestProblem
from web.api.routing import RequestContext, Route, next_link, render

FORM_OVERHEAD_BYTES = 1024 * 1024
"""Bytes that a form may have besides the documents in it."""


async def add(context: RequestContext[views.NewDocumentQuery, views.NoBody]) -> ApiResponse:
    if context.request.mimetype == "multipart/form-data":
        return await _add_files(context)
    if context.request.mimetype == "application/json":
        return _added(await _add_page(context))
    media_type = context.request.headers.get("content-type")
    check_media_type(media_type)
    body = await read_body(context.request, context.settings.max_document_bytes, context.room)
    added = await context.system.library.add(
        body,
        media_type=media_type,
        title=context.query.title,
        source=context.query.source,
        owner=_owner(context),
        by=context.principal.name,
    )
    return _added(added)


def _owner(context: RequestContext[Any, Any]) -> str | None:
    """Whose the added document is; None: it is shared."""
    return context.principal.name if context.settings.private_documents else None


def _added(added: Added) -> ApiResponse:
    document = added.document
    location = {"Location": f"/documents/{document.document_id}"}
    return render(201 if added.created else 200, views.added_view(added), location)


async def _add_page(context: RequestContext[views.NewDocumentQuery, views.NoBody]) -> Added:
    """Fetch the page whose URL the body names, and add it."""
    new = await json_body(
        context.request, views.NewPage, context.settings.max_body_bytes, context.room
    )
    if context.query.source is not None:
        fault = Fault(("source",), "The source of a page is its URL.")
        raise RequestProblem("invalid_request", fault.msg, [fault])
    context.room.take(context.settings.fetch_max_bytes)
    return await context.system.add_page(
        new.url, title=context.query.title, owner=_owner(context), by=context.principal.name
    )


async def _add_files(context: RequestContext[views.NewDocumentQuery, views.NoBody]) -> ApiResponse:
    """Add each file by itself, so that one that cannot be read does not keep the others out."""
    most = context.settings.max_document_bytes + FORM_OVERHEAD_BYTES
    files = await form_files(context.request, most, context.room)
    if not files:
        fault = Fault(("body",), "The form has no file in it.")
        raise RequestProblem("invalid_request", fault.msg, [fault])
    documents, faults = [], []
    created = False
    for file in files:
        name = file.filename or "unnamed"
        kind = file.headers.get("Content-Type")
        try:
            added = await context.system.library.add(
                _content(file),
                media_type=_known(kind),
                title=context.query.title if len(files) == 1 else None,
                file_name=name,
                source=context.query.source if len(files) == 1 else None,
                owner=_owner(context),
                by=context.principal.name,
            )
        except ActorError as error:
            if error.retryable or len(files) == 1:
                raise
            faults.append(Fault(("files", name), error.message))
        else:
            documents.append(views.added_view(added))
            created = created or added.created
    if faults:
        detail = faults[0].msg
        if len(files) > 1:
            detail += f" {len(documents)} of {len(files)} files were added."
        raise RequestProblem("unreadable_document", detail, faults)
    return render(201 if created else 200, {"documents": documents})


def _content(file: FileStorage) -> bytes:
    """The bytes of a file that a form had in memory, without a copy."""
    assert isinstance(file.stream, BytesIO)
    return file.stream.getvalue()


def _known(kind: str | None) -> str | None:
    """The type, unless it is the one that clients send for files of a type they do not know."""
    return None if kind == "application/octet-stream" else kind


async def listing(context: RequestContext[views.DocumentsQuery, views.NoBody]) -> ApiResponse:
    limit, source = context.query.limit, context.query.source
    page = await context.system.library.documents(
        limit=limit,
        cursor=context.query.cursor,
        source=source,
        by=context.principal.name,
        reader=context.principal.reader,
    )
    view = views.document_view if source is None else views.sourced_view
    documents = [view(document) for document in page.documents]
    headers = next_link("/documents", limit=limit, source=source, cursor=page.next_cursor)
    return render(200, {"documents": documents, "next_cursor": page.next_cursor}, headers)


async def document(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    library, document_id = context.system.library, context.path["document_id"]
    found = await library.document(document_id, reader=context.principal.reader)
    return render(200, views.document_view(found))


async def text(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    library, document_id = context.system.library, context.path["document_id"]
    found = await library.text(document_id, reader=context.principal.reader)
    return ApiResponse(200, found.encode(), {"Content-Type": "text/plain; charset=utf-8"})


async def delete(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    library, document_id = context.system.library, context.path["document_id"]
    adder = await library.added_by(document_id, reader=context.principal.reader)
    if not context.principal.sees(adder):
        raise RequestProblem("forbidden", "A key deletes only the documents that it added.")
    await library.delete(document_id)
    return ApiResponse(204)


async def forget_source(context: RequestContext[views.SourceQuery, views.NoBody]) -> ApiResponse:
    removed = await context.system.library.forget_source(
        context.query.source, context.principal.name
    )
    return render(200, {"documents": [views.document_view(document) for document in removed]})


async def search(context: RequestContext[views.SearchQuery, views.NoBody]) -> ApiResponse:
    hits = await context.system.library.search(
        context.query.q, limit=context.query.limit, reader=context.principal.reader
    )
    results = [views.as_view(views.PassageView, passage) for passage in hits.passages]
    return render(200, {"results": results}, {"X-Rankers": ", ".join(hits.rankers)})


ROUTES = [
    Route(
        "POST",
        "/documents",
        add,
        "Add a document to the library, as a raw body, as files of a form, or by its URL",
        {201: views.AddedDocumentView, 200: views.AddedDocumentView},
        sends={201: ("Location",), 200: ("Location",)},
        query=views.NewDocumentQuery,
        raw_body=True,
        json_instead=views.NewPage,
        problems=(400, 413, 415, 422, 502, 503),
    ),
    Route(
        "GET",
        "/documents",
        listing,
        "List documents, newest first",
        {200: views.DocumentList},
        sends={200: ("Link",)},
        query=views.DocumentsQuery,
        problems=(422,),
    ),
    Route(
        "DELETE",
        "/documents",
        forget_source,
        "Forget a source, and delete its document unless another source or an upload holds it",
        {200: views.RemovedDocuments},
        query=views.SourceQuery,
        problems=(404, 422, 503),
    ),
    Route(
        "GET",
        "/documents/search",
        search,
        "Find passages",
        {200: views.SearchResults},
        sends={200: ("X-Rankers",)},
        query=views.SearchQuery,
        problems=(422, 431),
    ),
    Route(
        "GET",
        "/documents/{document_id}",
        document,
        "One document",
        {200: views.DocumentView},
        problems=(404, 422),
    ),
    Route(
        "GET",
        "/documents/{document_id}/text",
        text,
        "The text that was read from a document",
        {200: "text/plain"},
        problems=(404, 422),
    ),
    Route(
        "DELETE",
        "/documents/{document_id}",
        delete,
        "Delete a document",
        {204: None},
        problems=(404, 409, 422, 503),
    ),
]
