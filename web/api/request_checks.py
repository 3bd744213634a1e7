"""What is wrong with a request whatever its route: several spellings of one path, and doubled headers.

Rule: a request has one meaning, for us and for a proxy in front of us, or it is refused.
"""

from __future__ import annotations

from web.api.exchange import ApiRequest, ApiResponse
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


def refusal_of_ambiguous(request: ApiRequest) -> ApiResponse | None:
    """The refusal of a request, if it deserves one."""
    path: str = request.scope["path"]
    inner = path.removeprefix(request.scope.get("root_path", ""))
    if inner.startswith("//") or b"%2f" in request.scope.get("raw_path", b"").lower():
        return problem(
            request, "not_found", f"There is no {path} here: its slashes are not those of a route."
        )
    if not request.doubled:
        return None
    doubled = [name for name in SINGLE_HEADERS if name.lower() in request.doubled]
    if doubled:
        faults = [Fault(("header", name), "This header is given twice.") for name in doubled]
        return problem(request, "invalid_request", f"{doubled[0]} is given twice.", faults)
    return None
