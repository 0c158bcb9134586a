"""Content codings, as in "Payload compression for REST APIs" of the developer guide."""

import zlib
from typing import Final

from local.events import Request
from local.responses import GatewayError, Response

_WINDOWS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def decode_body(body: bytes, request: Request, limit: int) -> bytes:
    """Return the body without its `Content-Encoding`; unpack at most *limit* bytes.

    Raises:
        GatewayError: UNSUPPORTED_MEDIA_TYPE (unknown coding, malformed body) or REQUEST_TOO_LARGE.
    """
    coding = (request.header("content-encoding") or "identity").strip().lower()
    if coding == "identity" or not body:
        return body
    if coding not in _WINDOWS:
        raise GatewayError("UNSUPPORTED_MEDIA_TYPE")
    unpacking = zlib.decompressobj(_WINDOWS[coding])
    try:
        unpacked = unpacking.decompress(body, limit + 1)
    except zlib.error as error:
        raise GatewayError("UNSUPPORTED_MEDIA_TYPE") from error
    if len(unpacked) > limit:
        raise GatewayError("REQUEST_TOO_LARGE")
    if not unpacking.eof or unpacking.unused_data:
        raise GatewayError("UNSUPPORTED_MEDIA_TYPE")
    return unpacked


def encode_response(response: Response, request: Request) -> Response:
    """Compress the response in the client's preferred coding, unless it is encoded already."""
    coding = _preferred(request.header("accept-encoding") or "")
    has_coding = "content-encoding" in {name.lower() for name, _ in response.headers}
    if coding not in _WINDOWS or has_coding or not response.body:
        return response
    body = zlib.compress(response.body, wbits=_WINDOWS[coding])
    return Response(response.status, [*response.headers, ("content-encoding", coding)], body)


def _preferred(accepted: str) -> str:
    """Return the first coding with the highest weight.

    AWS considers only this one: if it is unknown or `*`, the response is not compressed.
    """
    weights: dict[str, float] = {}
    for entry in accepted.lower().replace(" ", "").split(","):
        coding, _, weight = entry.partition(";q=")
        try:
            weights.setdefault(coding, float(weight or 1))
        except ValueError:
            return "identity"
    best = max(weights, key=weights.__getitem__)
    return best if weights[best] else "identity"
