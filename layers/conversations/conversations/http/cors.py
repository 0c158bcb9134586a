"""CORS headers, by which pages of other origins may call the API from a browser (Fetch standard).

The parameter *allowed* is `*`, a list of origins separated by commas, or empty to disable CORS. The
API key is a header that the page sends, not a cookie, so credentials are never allowed.
"""

METHODS = "GET, HEAD, POST, DELETE"
REQUEST_HEADERS = "Authorization, *"
"""Any header: clients send different ones. `*` does not include Authorization."""
EXPOSED_HEADERS = "x-request-id, Retry-After, x-should-retry"
"""Response headers that clients read, of successes and errors."""
MAX_AGE_SECONDS = 7200
"""Time for which browsers cache a preflight response: Chromium's maximum."""


def response_headers(allowed: str, origin: str | None) -> dict[str, str]:
    """Return the headers by which a page of *origin* may read a response, if it is allowed to."""
    headers = _grant(allowed, origin)
    if "Access-Control-Allow-Origin" in headers:
        headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return headers


def preflight_headers(allowed: str, origin: str | None) -> dict[str, str]:
    """Return the headers by which a page of *origin* may send a request, if it is allowed to."""
    headers = _grant(allowed, origin)
    if "Access-Control-Allow-Origin" in headers:
        headers["Access-Control-Allow-Methods"] = METHODS
        headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        headers["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
    return headers


def _grant(allowed: str, origin: str | None) -> dict[str, str]:
    """Return the header with the allowed origin, and `Vary` if it depends on the request."""
    if allowed in {"", "*"}:
        return {"Access-Control-Allow-Origin": allowed} if allowed else {}
    varies = {"Vary": "Origin"}
    if origin not in allowed.split(","):
        return varies
    return {**varies, "Access-Control-Allow-Origin": str(origin)}
