"""Which pages may call the API from a browser: CORS, as the Fetch standard has it.

What is allowed is `*`, or origins with commas between, or nothing for no CORS at all. A key is a
header that the page itself sends and no cookie, so requests with credentials are never allowed.
"""

METHODS = "GET, HEAD, POST, DELETE"
REQUEST_HEADERS = "Authorization, *"
"""Any: what clients send beside the key differs and does no harm. `*` leaves Authorization out."""
EXPOSED_HEADERS = "x-request-id, Retry-After, x-should-retry"
"""Those that clients read beside the body, from successes and from errors."""
MAX_AGE_SECONDS = 7200
"""How long a browser need not ask again: the most that Chromium heeds."""


def response_headers(allowed: str, origin: str | None) -> dict[str, str]:
    """What lets a page of *origin* read an answer, if it is allowed to."""
    headers = _grant(allowed, origin)
    if "Access-Control-Allow-Origin" in headers:
        headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return headers


def preflight_headers(allowed: str, origin: str | None) -> dict[str, str]:
    """What lets a page of *origin* send its request, if it is allowed to."""
    headers = _grant(allowed, origin)
    if "Access-Control-Allow-Origin" in headers:
        headers["Access-Control-Allow-Methods"] = METHODS
        headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        headers["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
    return headers


def _grant(allowed: str, origin: str | None) -> dict[str, str]:
    """The origin that may read on, and whether that depends on who asks."""
    if allowed in {"", "*"}:
        return {"Access-Control-Allow-Origin": allowed} if allowed else {}
    varies = {"Vary": "Origin"}
    if origin not in allowed.split(","):
        return varies
    return {**varies, "Access-Control-Allow-Origin": str(origin)}
