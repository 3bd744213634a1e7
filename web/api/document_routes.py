"""The routes of the document library.

Rule: parse, ask, render. An answer means that the document is durable and searchable.
"""

from __future__ import annotations

from dataclasses import asdict

from quart import Response

from actors.errors import ActorError
from actors.library.documents import Added, Document
from web.api import parsing, views
from web.api.problems import Fault, RequestProblem
from web.api.routing import RequestContext, Route, next_link, render

FORM_OVERHEAD_BYTES = 1024 * 1024
"""What a form may take in bytes beside the documents in it."""


async def add(x: RequestContext[views.NewDocumentQuery, views.NoBody]) -> Response:
    if x.request.mimetype == "multipart/form-data":
        return await _add_files(x)
    if x.request.mimetype == "application/json":
        return _added(await _add_page(x))
    body = await parsing.read_body(x.request, x.settings.max_document_bytes)
    media_type = x.request.headers.get("Content-Type")
    added = await x.system.library.add(
        body, media_type=media_type, title=x.query.title, source=x.query.source
    )
    return _added(added)


def _added(added: Added) -> Response:
    document = added.document
    location = {"Location": f"/documents/{document.document_id}"}
    return render(201 if added.created else 200, _view(document), location)


async def _add_page(x: RequestContext[views.NewDocumentQuery, views.NoBody]) -> Added:
    """Fetch what the body names."""
    new = await parsing.json_body(x.request, views.NewPage, x.settings.max_body_bytes)
    if x.query.source is not None:
        fault = Fault(("source",), "The source of a page is its URL.")
        raise RequestProblem("invalid_request", fault.msg, [fault])
    return await x.system.add_page(new.url, title=x.query.title)


async def _add_files(x: RequestContext[views.NewDocumentQuery, views.NoBody]) -> Response:
    """Add each file by itself: what cannot be read does not keep the others out."""
    most = x.settings.max_document_bytes + FORM_OVERHEAD_BYTES
    files = await parsing.form_files(x.request, most)
    if not files:
        fault = Fault(("body",), "The form has no file in it.")
        raise RequestProblem("invalid_request", fault.msg, [fault])
    documents, faults = [], []
    created = False
    for file in files:
        name = file.filename or "unnamed"
        kind = file.headers.get("Content-Type")
        try:
            added = await x.system.library.add(
                file.read(),
                media_type=_known(kind),
                title=x.query.title if len(files) == 1 else None,
                file_name=name,
                source=x.query.source if len(files) == 1 else None,
            )
        except ActorError as error:
            if error.retryable or len(files) == 1:
                raise
            faults.append(Fault(("files", name), error.message))
        else:
            documents.append(_view(added.document))
            created = created or added.created
    if faults:
        told = faults[0].msg
        if len(files) > 1:
            told += f" {len(documents)} of {len(files)} files were added."
        raise RequestProblem("unreadable_document", told, faults)
    return render(201 if created else 200, {"documents": documents})


def _known(kind: str | None) -> str | None:
    """Clients send this type for files whose type they do not know."""
    return None if kind == "application/octet-stream" else kind


async def listing(x: RequestContext[views.DocumentsQuery, views.NoBody]) -> Response:
    page = await x.system.library.documents(limit=x.query.limit, cursor=x.query.cursor)
    documents = [_view(document) for document in page.documents]
    headers = next_link("/documents", limit=x.query.limit, cursor=page.next_cursor)
    return render(200, {"documents": documents, "next_cursor": page.next_cursor}, headers)


async def document(x: RequestContext[views.NoQuery, views.NoBody]) -> Response:
    return render(200, _view(await x.system.library.document(x.path["document_id"])))


async def text(x: RequestContext[views.NoQuery, views.NoBody]) -> Response:
    found = await x.system.library.text(x.path["document_id"])
    return Response(found.encode(), 200, content_type="text/plain; charset=utf-8")


async def delete(x: RequestContext[views.NoQuery, views.NoBody]) -> Response:
    await x.system.library.delete(x.path["document_id"])
    return Response(b"", 204)


async def search(x: RequestContext[views.SearchQuery, views.NoBody]) -> Response:
    hits = await x.system.library.search(x.query.q, limit=x.query.limit)
    results = [asdict(passage) for passage in hits.passages]
    return render(200, {"results": results}, {"X-Rankers": ", ".join(hits.rankers)})


def _view(found: Document) -> dict[str, object]:
    return asdict(found)


ROUTES = [
    Route(
        "POST",
        "/documents",
        add,
        "Add a document to the library, as a raw body, as files of a form, or by its URL",
        {201: views.DocumentView, 200: views.DocumentView},
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
        query=views.DocumentsQuery,
        problems=(422,),
    ),
    Route(
        "GET",
        "/documents/search",
        search,
        "Find passages",
        {200: views.SearchResults},
        query=views.SearchQuery,
        problems=(422,),
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
        "Forget a document",
        {204: None},
        problems=(404, 409, 422, 503),
    ),
]
