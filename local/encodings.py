"""Content codings, by the rules of the developer guide's "Payload compression for REST APIs"."""

import zlib
from typing import Final

from local.events import Request
from local.responses import Answer, GatewayError

_WINDOWS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def decoded_body(body: bytes, request: Request, limit: int) -> bytes:
    """The body without its `Content-Encoding`, of which no more than *limit* bytes are unpacked.

    Raises:
        GatewayError: UNSUPPORTED_MEDIA_TYPE (another coding, or not of that coding as a whole) or
            REQUEST_TOO_LARGE.
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


def encoded_answer(answer: Answer, request: Request) -> Answer:
    """The answer in the coding that the client likes best, unless it has one already."""
    coding = _preferred(request.header("accept-encoding") or "")
    has_coding = "content-encoding" in {name.lower() for name, _ in answer.headers}
    if coding not in _WINDOWS or has_coding or not answer.body:
        return answer
    body = zlib.compress(answer.body, wbits=_WINDOWS[coding])
    return Answer(answer.status, [*answer.headers, ("content-encoding", coding)], body)


def _preferred(accepted: str) -> str:
    """The first of the codings with the highest weight.

    AWS looks no further: where that is one which it does not know, or `*`, it packs nothing.
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
