"""A table of requests as bytes: valid, unusual and hostile ones, each for a new connection."""

from __future__ import annotations

import gzip
import json

from tests.serve.conftest import ASKED

__all__ = ["ANSWERED", "BY_CORS", "TABLE_SCENARIO"]

TABLE_SCENARIO = """\
cometreel: 1
bayeux: {endpoint: /api/v2/notifications}
exchanges:
  - name: stats
    request: {method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats, workbinType: Place,
              workbinOwner: Place1}}
    reply: {body: {statusCode: 0, referenceId: 67}}
  - name: a page
    request: {method: GET, path: /api/v2/page}
    reply: {headers: {Content-Type: text/plain, X-Kind: "\u00e9"}, text: "a page"}
  - name: nothing
    request: {method: GET, path: /api/v2/nothing}
    reply: {status: 204}
  - name: not modified
    request: {method: GET, path: /api/v2/cached}
    reply: {status: 304, headers: {ETag: '"1"'}}
  - name: an odd status
    request: {method: GET, path: /api/v2/odd}
    reply: {status: 299, body: {}}
  - name: nothing known
    request: {method: HEAD, path: /api/v2/size}
    reply: {headers: {Content-Length: "1234"}}
  - name: broken
    request: {method: GET, path: /api/v2/broken}
    reply: {body: {}}
faults:
  - {exchange: broken, broken: true}
"""

STATS = json.dumps(ASKED).encode()


def get(path: str, fields: bytes = b"", version: str = "1.1", method: str = "GET") -> bytes:
    """Return a request without a body."""
    return f"{method} {path} HTTP/{version}\r\n".encode() + b"Host: x\r\n" + fields + b"\r\n"


def post(body: bytes, fields: bytes = b"", version: str = "1.1", path: str = "/api/v2/workbins") -> bytes:
    """Return a POST with a JSON body and its length."""
    head = f"POST {path} HTTP/{version}\r\n".encode() + b"Host: x\r\nContent-Type: application/json\r\n"
    return head + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*pieces: bytes, fields: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    """Return a POST in the chunked transfer coding."""
    head = (
        b"POST /api/v2/workbins HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    )
    return head + fields + b"\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


PAGE = get("/api/v2/page")
CLOSE = b"Connection: close\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA\r\n"
EXPECT = b"Expect: 100-continue\r\n"

ANSWERED: dict[str, bytes] = {
    "a page": PAGE,
    "a page and the end": get("/api/v2/page", CLOSE),
    "a page, HTTP/1.0": get("/api/v2/page", version="1.0"),
    "a page, HTTP/1.0, to be kept": get("/api/v2/page", b"Connection: keep-alive\r\n", "1.0"),
    "a page without Host, HTTP/1.0": b"GET /api/v2/page HTTP/1.0\r\n\r\n",
    "a page three times": PAGE * 3,
    "a page after empty lines": b"\r\n\r\n" + PAGE,
    "a page by its whole URL": get("http://x/api/v2/page?a=b"),
    "a URL without a path": get("http://x"),
    "an asterisk": get("*", method="OPTIONS"),
    "a page behind a proxy": get("/api/v2/page", b"X-Forwarded-Proto: https\r\n"),
    "a percent-encoded page": get("/api/v2/p%61ge"),
    "a query": get("/api/v2/page?a=%20&b"),
    "a HEAD": get("/api/v2/page", method="HEAD"),
    "a HEAD and a page": get("/api/v2/page", method="HEAD") + PAGE,
    "a HEAD with a recorded length": get("/api/v2/size", method="HEAD"),
    "nothing": get("/api/v2/nothing") + PAGE,
    "not modified": get("/api/v2/cached") + PAGE,
    "an odd status": get("/api/v2/odd"),
    "a miss": get("/api/v2/nowhere"),
    "an unusual method": get("/api/v2/page", method="PROPFIND"),
    "a POST": post(STATS),
    "a POST, HTTP/1.0": post(STATS, version="1.0"),
    "POSTs and pages": (post(STATS) + PAGE) * 20,
    "a POST without a body": post(b""),
    "a POST that is no JSON": post(b"{"),
    "a POST in gzip": post(gzip.compress(STATS, mtime=0), b"Content-Encoding: gzip\r\n"),
    "a POST in no gzip": post(b"x", b"Content-Encoding: gzip\r\n") + PAGE,
    "a POST in an unknown coding": post(b"x", b"Content-Encoding: compress\r\n"),
    "a POST in chunks": chunked(STATS[:7], STATS[7:]) + PAGE,
    "a POST in chunks with trailers": chunked(STATS, end=b"0\r\nX-Kind: a\r\n\r\n") + PAGE,
    "a POST in invalid chunks": chunked(end=b"x\r\n"),
    "a POST after 100-continue": post(STATS, EXPECT),
    "a POST after another expectation": post(STATS, b"Expect: 200-ok\r\n"),
    "a POST whose body is too long": post(b"", EXPECT).replace(b"Length: 0", b"Length: 99999999"),
    "a POST that grows too long": chunked(*[b"x" * 9000] * 3) + PAGE,
    "a POST above a small limit": post(b"x" * 9999),
    "a POST to the endpoint": post(b"[]", path="/api/v2/notifications"),
    "a handshake": post(
        b'[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]',
        path="/api/v2/notifications",
    ),
    "a broken connection": PAGE + get("/api/v2/broken") + PAGE,
    "requests after the end": get("/api/v2/page", CLOSE) + PAGE,
    "an offer of HTTP/2": get("/api/v2/page", H2C) + PAGE,
    "an offer of HTTP/2 with a body": post(STATS, H2C) + PAGE,
    "a WebSocket without its fields": get("/api/v2/notifications", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "a WebSocket with an invalid path": get("/a b", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "an offer of HTTP/2 and a long head": get("/api/v2/page", H2C) + get("/", b"X: " + b"x" * 70_000 + b"\r\n"),
    "an offer of HTTP/2 and no HTTP": get("/api/v2/page", H2C) + b"nonsense\r\n\r\n",
    "CONNECT": b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
    "no HTTP": b"\x16\x03\x01 hello\r\n\r\n",
    "pages and no HTTP": PAGE * 2 + b"nonsense\r\n\r\n",
    "a POST and no HTTP": post(STATS) + b"nonsense\r\n\r\n",
    "no Host": b"GET /api/v2/page HTTP/1.1\r\n\r\n",
    "two Hosts": get("/api/v2/page", b"Host: y\r\n"),
    "an invalid Host": b"GET /api/v2/page HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "a long head": get("/", b"X: " + b"x" * 70_000 + b"\r\n"),
    "many fields": get("/", b"X: x\r\n" * 20_000),
    "long trailers": chunked(STATS, end=b"0\r\n" + b"X: x\r\n" * 20_000),
    "two lengths": get("/", b"Content-Length: 1\r\nContent-Length: 2\r\n"),
    "a length and chunks": get("/", b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
    "a negative length": get("/", b"Content-Length: -1\r\n"),
    "a line feed alone": b"GET /api/v2/page HTTP/1.1\nHost: x\n\n",
    "HTTP/2.0": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a NUL in a field": get("/", b"X: \0\r\n"),
    "a non-ASCII path": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
}
"""Requests by their kind."""

ORIGIN = b"Origin: http://page.example\r\n"
ASKS = b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n"

BY_CORS: dict[str, bytes] = {
    "a preflight": get("/api/v2/workbins", ORIGIN + ASKS, method="OPTIONS") + PAGE,
    "a preflight with a body": post(b"xyz", ORIGIN + ASKS).replace(b"POST /", b"OPTIONS /", 1) + PAGE,
    "a preflight of another origin": get("/api/v2/workbins", b"Origin: http://b\r\n" + ASKS, method="OPTIONS"),
    "OPTIONS": get("/api/v2/workbins", method="OPTIONS"),
    "a page": get("/api/v2/page", ORIGIN),
    "a page and the end": get("/api/v2/page", ORIGIN + CLOSE),
    "a page without Origin": PAGE,
    "nothing": get("/api/v2/nothing", ORIGIN),
    "a body that is too long": post(b"", ORIGIN).replace(b"Length: 0", b"Length: 99999999"),
    "a POST in no gzip": post(b"x", ORIGIN + b"Content-Encoding: gzip\r\n"),
    "a POST": post(STATS, ORIGIN) * 2,
}
"""Requests to a replay that allows pages of http://page.example."""
