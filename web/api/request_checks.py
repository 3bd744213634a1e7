"""What is wrong with a request whatever its route: several spellings of one path, and doubled headers.

Rule: a request has one meaning, for us and for a proxy in front of us, or it is refused.
"""

from __future__ import annotations

from quart import Response, request

from web.api.problems import Fault, problem

SINGLE_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "Origin",
    "X-API-Key",
)
"""Those that are read here, and may stand on one line only."""


async def refuse_ambiguous() -> Response | None:
    """The refusal of the current request, if it deserves one; to be called before each request.

    Quart would call a plain function in a thread.
    """
    path: str = request.scope["path"]
    inner = path.removeprefix(request.scope.get("root_path", ""))
    if inner.startswith("//") or b"%2f" in request.scope.get("raw_path", b"").lower():
        return problem(
            "not_found", f"There is no {path} here: its slashes are not those of a route."
        )
    doubled = [name for name in SINGLE_HEADERS if len(request.headers.getlist(name)) > 1]
    if doubled:
        faults = [Fault(("header", name), "This header is given twice.") for name in doubled]
        return problem("invalid_request", f"{doubled[0]} is given twice.", faults)
    return None
