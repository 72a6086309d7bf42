"""Requests as bytes on plain sockets: upgrades, long heads, pipelining, Host, invalid text on a WebSocket.

The tests use nothing of the server's own implementation of HTTP. Each runs with the driver called by the connection,
and with the replay as an ASGI application.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from cometreel.serve import Limits, ListenOptions
from tests.serve.conftest import ASKED, SCENARIO, Desktop, Serve, calls, until
from tests.serve.test_limits import Http, is_cut

Dial = Callable[[str], socket.socket]

IMPATIENT = ListenOptions(limits=Limits(1000, write_seconds=0.3))
OPEN = SCENARIO.replace("endpoint", "require_cookie: false, endpoint")
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA\r\n"
"""The fields of curl --http2 and of Java's HttpClient."""
STATS = json.dumps(ASKED).encode()
PAGE = b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\n\r\n"
SHAKES = b'[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]'

WEBSOCKET = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

UPGRADES = {
    "h2c": H2C,
    "h2c, the fields in another order": b"upgrade: H2C\r\nconnection: keep-alive, upgrade\r\n",
    "another TLS": b"Upgrade: TLS/1.3\r\nConnection: Upgrade\r\n",
    "websocket, but no GET": b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
}


class Answers:
    """Reads the responses on a connection, one after the other."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        self._connection, self._rest = connection, b""

    def next(self) -> tuple[int, bytes]:
        """Return status and body of the next response."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        missing = int(length[1]) if length else 0
        while len(self._rest) < missing:
            self._more()
        body, self._rest = self._rest[:missing], self._rest[missing:]
        return int(head.split()[1]), body

    def error(self) -> tuple[int, str]:
        """Return status and text of an error."""
        status, body = self.next()
        return status, json.loads(body)["statusMessage"]

    def at_end(self) -> bool:
        """Tell whether the server has closed the connection, after all responses were read."""
        return not self._rest and self._connection.recv(1000) == b""

    def _more(self) -> None:
        piece = self._connection.recv(65536)
        assert piece, f"the connection was closed after {self._rest[:200]!r}"
        self._rest += piece


def post(path: str, body: bytes, fields: bytes = b"") -> bytes:
    """Return a POST with a JSON body."""
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b" % (path.encode(), fields)
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.fixture(params=[True, False], ids=["connection", "ASGI"])
def serve(serve: Serve, request: pytest.FixtureRequest) -> Serve:
    """Serve scenarios in this process, on both paths of a request."""
    return partial(serve, direct=request.param)


@pytest.fixture
def no_tracebacks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail the test if there is a traceback in the log."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.exc_info] == []


# ------------------------------------------------------------------ upgrades
@pytest.mark.parametrize("offer", UPGRADES.values(), ids=UPGRADES.keys())
def test_a_post_that_offers_an_upgrade_is_answered_as_without_it(
    serve: Serve, dial: Dial, offer: bytes, no_tracebacks: None
):
    connection = dial(serve().url)
    answers = Answers(connection)
    connection.sendall(post("/api/v2/workbins", STATS, offer))
    assert answers.next() == (200, b'{"statusCode":0,"referenceId":67}')
    connection.sendall(post("/api/v2/notifications", SHAKES, offer))
    status, body = answers.next()
    assert (status, json.loads(body)[0]["successful"]) == (200, True)
    connection.sendall(PAGE)
    assert answers.next() == (200, b"a page")


def test_a_get_that_offers_an_unknown_upgrade_is_answered(serve: Serve, dial: Dial):
    connection = dial(serve().url)
    connection.sendall(PAGE.replace(b"\r\n\r\n", b"\r\n" + H2C + b"\r\n"))
    assert Answers(connection).next() == (200, b"a page")


def test_a_websocket_offered_in_http_1_0_is_ignored(serve: Serve, dial: Dial):
    connection = dial(serve().url)
    connection.sendall(b"GET /api/v2/page HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert Answers(connection).next() == (200, b"a page")


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_an_offered_upgrade_with_a_chunked_body_in_pieces(serve: Serve, dial: Dial, step: int):
    """Whatever the packets are: the head, the offer and the chunks may be cut anywhere."""
    head = b"POST /api/v2/workbins HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + H2C
    data = head + b"\r\n5\r\n" + STATS[:5] + b"\r\n%x\r\n" % len(STATS[5:]) + STATS[5:] + b"\r\n0\r\n\r\n" + PAGE
    connection = dial(serve().url)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for start in range(0, len(data), step):
        connection.sendall(data[start : start + step])
    answers = Answers(connection)
    assert answers.next() == (200, b'{"statusCode":0,"referenceId":67}')
    assert answers.next() == (200, b"a page")


def test_pipelined_requests_that_offer_upgrades_are_answered_in_order(serve: Serve, dial: Dial):
    served = serve()
    connection = dial(served.url)
    pages = PAGE.replace(b"\r\n\r\n", b"\r\n" + H2C + b"\r\n")
    connection.sendall((post("/api/v2/workbins", STATS, H2C) + pages) * 20)
    answers = Answers(connection)
    assert [answers.next()[1] for _ in range(40)] == [b'{"statusCode":0,"referenceId":67}', b"a page"] * 20


def test_websocket_among_several_offers_is_accepted(serve: Serve, dial: Dial):
    """As in RFC 9110 §7.8, the server selects one of the offers."""
    connection = dial(serve(OPEN).url)
    connection.sendall(
        b"GET /api/v2/notifications HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n"
        b"Upgrade: h2c, WebSocket\r\n" + WEBSOCKET + b"\r\n"
    )
    assert Answers(connection).next()[0] == 101


def test_the_method_connect_is_refused(serve: Serve, dial: Dial):
    connection = dial(serve().url)
    connection.sendall(b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n")
    answers = Answers(connection)
    assert answers.error() == (501, "found the method CONNECT; this server is not a proxy")
    assert answers.at_end()


# ------------------------------------------------------------------ long heads and pipelining
@pytest.mark.parametrize("length", [66_000, 100_000, 150_000, 200_000, 250_000])
def test_the_body_of_a_request_does_not_count_as_the_head_of_the_next(serve: Serve, dial: Dial, length: int):
    body = STATS[:-1] + b" " * length + b"}"
    connection = dial(serve().url)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
    connection.sendall(post("/api/v2/workbins", body) + PAGE[:10])
    answers = Answers(connection)
    assert answers.next() == (200, b'{"statusCode":0,"referenceId":67}')
    connection.sendall(PAGE[10:])
    assert answers.next() == (200, b"a page")


TOO_LONG = "the head of the request is longer than 65536 bytes"
REFUSED = {
    "a head that is too long": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431, TOO_LONG),
    "many fields": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: x\r\n" * 20_000 + b"\r\n", 431, TOO_LONG),
    "a long path": (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, TOO_LONG),
    "trailers": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: x\r\n" * 30_000,
        431,
        TOO_LONG,
    ),
    "not HTTP": (b"\x16\x03\x01 hello\r\n\r\n", 400, "the request is not valid HTTP: Invalid method encountered"),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400, "the request has no Host field; expected one"),
}


@pytest.mark.parametrize(("refused", "status", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_request_gets_its_error_after_the_answers_to_earlier_ones(
    serve: Serve, dial: Dial, refused: bytes, status: int, text: str, no_tracebacks: None
):
    """The client gets all responses, and then the connection is closed."""
    connection = dial(serve().url)
    connection.sendall(post("/api/v2/workbins", STATS) + PAGE + refused)
    answers = Answers(connection)
    assert answers.next() == (200, b'{"statusCode":0,"referenceId":67}')
    assert answers.next() == (200, b"a page")
    assert answers.error() == (status, text)
    assert answers.at_end()


def test_a_refused_request_behind_a_held_poll_waits_for_the_answer_to_the_poll(serve: Serve, http: Http, dial: Dial):
    served = serve()
    desktop = Desktop(http(served.url)).handshakes()
    connection = dial(served.url)
    connection.sendall(desktop.poll_bytes() + b"nonsense\r\n\r\n")
    until(lambda: served.call(lambda: len(served.driver._held)), "the poll is held")
    desktop.http.post("/api/v2/workbins", json=ASKED)
    answers = Answers(connection)
    status, body = answers.next()
    assert (status, json.loads(body)[-1]["channel"]) == (200, "/meta/connect")
    assert answers.next()[0] == 400
    assert answers.at_end()


def test_trailers_are_no_header_fields(serve: Serve, dial: Dial):
    """RFC 9110 §6.5.1: a trailer must not become a header field."""
    text = SCENARIO.replace("body: {operationName", "headers: {X-Kind: a}\n      body: {operationName", 1)
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(STATS), STATS)
    head = b"POST /api/v2/workbins HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    connection = dial(serve(text).url)
    answers = Answers(connection)
    connection.sendall(head + b"X-Kind: a\r\n\r\n" + chunks + b"\r\n")
    assert answers.next()[0] == 200
    connection.sendall(head + b"\r\n" + chunks + b"X-Kind: a\r\n\r\n")
    assert answers.next()[0] == 404


LARGE = SCENARIO + (
    "  - name: a large page\n"
    "    request: {method: GET, path: /api/v2/large}\n"
    "    reply: {headers: {Content-Type: text/plain}, text: '" + "x" * 4_000_000 + "'}\n"
)


def test_a_client_that_pipelines_and_never_reads_is_cut_without_a_traceback(
    serve: Serve, dial: Dial, no_tracebacks: None
):
    served = serve(LARGE, IMPATIENT)
    before = served.call(lambda: len(asyncio.all_tasks()))
    deaf = dial(served.url)
    deaf.sendall(PAGE.replace(b"page", b"large") * 30)
    until(lambda: is_cut(deaf), "the deaf client is cut off")
    until(lambda: served.call(lambda: len(asyncio.all_tasks())) == before, "its requests end")
    answered = calls(served)
    assert set(answered) == {("GET /api/v2/large", "a large page")}
    assert len(answered) < 30


@pytest.mark.parametrize("pieces", [1, 2], ids=["in one packet", "later"])
def test_the_engine_learns_that_a_client_with_pipelined_requests_is_gone(
    serve: Serve, http: Http, dial: Dial, pieces: int, no_tracebacks: None
):
    """A message for its held poll is then delivered to its next one."""
    served = serve()
    desktop = Desktop(http(served.url)).handshakes()
    desktop.bayeux(channel="/meta/subscribe", subscription="/v2/me/workbins")
    gone = dial(served.url)
    data = (desktop.poll_bytes(), PAGE)
    for piece in [b"".join(data)] if pieces == 1 else data:
        gone.sendall(piece)
        until(lambda: served.call(lambda: len(served.driver._held)), "the poll is held")
    gone.close()
    until(lambda: not served.call(lambda: len(served.driver._held)), "the engine is told")
    desktop.http.post("/api/v2/workbins", json=ASKED)
    assert "WorkbinStatsMessage" in json.dumps(desktop.poll())


# ------------------------------------------------------------------ Host
HOSTS: dict[str, tuple[bytes, int]] = {
    "none in 1.1": (b"GET /api/v2/page HTTP/1.1\r\n\r\n", 400),
    "two": (b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    "two equal ones": (b"GET /api/v2/page HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n", 400),
    "two in 1.0": (b"GET /api/v2/page HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    "with a space": (b"GET /api/v2/page HTTP/1.1\r\nHost: x y\r\n\r\n", 400),
    "with a path": (b"GET /api/v2/page HTTP/1.1\r\nHost: x/y\r\n\r\n", 400),
    "two of a WebSocket": (
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        400,
    ),
    "one": (b"GET /api/v2/page HTTP/1.1\r\nHost: gws.example:8080\r\n\r\n", 200),
    "IPv6": (b"GET /api/v2/page HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 200),
    "an empty one": (b"GET /api/v2/page HTTP/1.1\r\nHost:\r\n\r\n", 200),
    "none in 1.0": (b"GET /api/v2/page HTTP/1.0\r\n\r\n", 200),
}


@pytest.mark.parametrize(("request_bytes", "status"), HOSTS.values(), ids=HOSTS.keys())
def test_a_request_has_exactly_one_host(serve: Serve, dial: Dial, request_bytes: bytes, status: int):
    connection = dial(serve().url)
    connection.sendall(request_bytes)
    assert Answers(connection).next()[0] == status


# ------------------------------------------------------------------ charsets and sizes
NAMED = (
    SCENARIO
    + """
  - name: a name
    request: {method: POST, path: /api/v2/name, body: {name: "J\u00fcrgen \u20ac"}}
    reply: {body: {statusCode: 0, name: 1}}
  - name: a text
    request: {method: POST, path: /api/v2/text, text: "J\u00fcrgen"}
    reply: {body: {statusCode: 0, text: 1}}
  - name: a form
    request: {method: POST, path: /api/v2/form, form: {name: "J\u00fcrgen"}}
    reply: {body: {statusCode: 0, form: 1}}
  - name: bytes as recorded
    request: {method: POST, path: /api/v2/bytes, base64: SvxyZ2Vu}
    reply: {body: {statusCode: 0, bytes: 1}}
"""
)
JUERGEN = '{"name":"J\u00fcrgen \u20ac"}'
CHARSETS: dict[str, tuple[str, str, bytes, int]] = {
    "UTF-8": ("name", "application/json", JUERGEN.encode(), 200),
    "Windows-1252": ("name", "application/json; charset=windows-1252", JUERGEN.encode("cp1252"), 200),
    "ISO-8859-15": ("name", "application/json;charset='ISO-8859-15'", JUERGEN.encode("iso-8859-15"), 200),
    "UTF-16": ("name", "application/json; Charset=UTF-16", JUERGEN.encode("utf-16"), 200),
    "no charset": ("name", "application/json", JUERGEN.encode("cp1252"), 400),
    "another charset": ("name", "application/json;charset=ISO-8859-1", JUERGEN.encode(), 404),
    "an unknown charset": ("name", "application/json;charset=ebcdic", JUERGEN.encode(), 200),
    "a codec that is no charset": ("name", "application/json;charset=unicode_escape", JUERGEN.encode(), 200),
    "invalid in its charset": ("text", "text/plain;charset=utf-16", b"\xd8", 404),
    "text in Latin-1": ("text", "text/plain;charset=iso-8859-1", "J\u00fcrgen".encode("latin-1"), 200),
    "form in Latin-1": ("form", "application/x-www-form-urlencoded;charset=latin1", b"name=J%FCrgen", 200),
    "form in UTF-8": ("form", "application/x-www-form-urlencoded", b"name=J%C3%BCrgen", 200),
    "bytes in Latin-1": ("bytes", "text/plain;charset=iso-8859-1", "J\u00fcrgen".encode("latin-1"), 200),
}


@pytest.mark.parametrize(("path", "media_type", "body", "status"), CHARSETS.values(), ids=CHARSETS.keys())
def test_a_body_has_the_charset_of_its_content_type(
    serve: Serve, dial: Dial, path: str, media_type: str, body: bytes, status: int
):
    connection = dial(serve(NAMED).url)
    head = (
        f"POST /api/v2/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    found, reply = Answers(connection).next()
    assert found == status, reply


def test_a_handshake_in_latin_1_is_accepted(serve: Serve, dial: Dial):
    body = SHAKES.replace(b"}]", b',"ext":{"name":"J\xfcrgen"}}]')
    head = b"POST /api/v2/notifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json;charset=ISO-8859-1\r\n"
    connection = dial(serve().url)
    connection.sendall(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    assert b'"successful":true' in Answers(connection).next()[1]


LONG = "x" * 63_000
LONG_REQUESTS = {
    "path": f"GET /{LONG} HTTP/1.1\r\nHost: x\r\n\r\n",
    "encoded path": f"GET /{'%41' * 20_000} HTTP/1.1\r\nHost: x\r\n\r\n",
    "query": f"GET /api/v2/page?{LONG} HTTP/1.1\r\nHost: x\r\n\r\n",
    "many parameters": f"GET /api/v2/page?{'&a=b' * 15_000} HTTP/1.1\r\nHost: x\r\n\r\n",
    "path of the endpoint": f"GET /api/v2/notifications/{LONG} HTTP/1.1\r\nHost: x\r\n\r\n",
    "path of a WebSocket": f"GET /api/v2/{LONG[:7000]} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    f"Connection: upgrade\r\n{WEBSOCKET.decode()}\r\n",
    "body": post("/api/v2/workbins", json.dumps({str(number): LONG for number in range(20)}).encode()).decode(),
    "body of many members": post("/api/v2/workbins", json.dumps({f"{n}": n for n in range(100_000)}).encode()).decode(),
    "name in a body": post("/api/v2/workbins", json.dumps({LONG: 1}).encode()).decode(),
}


@pytest.mark.parametrize("data", LONG_REQUESTS.values(), ids=LONG_REQUESTS.keys())
def test_a_long_request_gets_a_short_answer_and_a_short_line_in_the_log(
    serve: Serve, dial: Dial, data: str, caplog: pytest.LogCaptureFixture, no_tracebacks: None
):
    connection = dial(serve().url)
    connection.sendall(data.encode())
    status, body = Answers(connection).next()
    assert status >= 400
    assert len(body) < 20_000
    assert max(map(len, caplog.messages)) < 10_000


# ------------------------------------------------------------------ WebSocket
UPGRADE = b"GET /api/v2/notifications HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + WEBSOCKET


def frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """Return a masked frame with at most 125 bytes (RFC 6455 §5.2); the masking key is zero."""
    return bytes([opcode | 0x80 * last, 0x80 | len(payload)]) + bytes(4) + payload


NO_TEXT = {
    "an invalid byte": frame(1, b"[\xff]"),
    "half a character": frame(1, b"[\xc3"),
    "in two fragments": frame(1, b"[\xc3", last=False) + frame(0, b"(]"),
    "a surrogate": frame(1, b"\xed\xa0\x80"),
    "twice": frame(1, b"\xff") * 2,
}


@pytest.mark.parametrize("data", NO_TEXT.values(), ids=NO_TEXT.keys())
def test_text_that_is_not_utf_8_closes_the_websocket_with_one_line_in_the_log(
    serve: Serve, dial: Dial, data: bytes, caplog: pytest.LogCaptureFixture, no_tracebacks: None
):
    """RFC 6455 §8.1: close code 1007."""
    connection = dial(serve(OPEN).url)
    connection.sendall(UPGRADE + b"\r\n")
    assert Answers(connection).next()[0] == 101
    connection.sendall(data)
    received = connection.recv(1000)
    assert (received[0], int.from_bytes(received[2:4], "big")) == (0x88, 1007)
    until(lambda: "sent text that is not UTF-8" in caplog.text, "the reason is logged")
    assert [line for line in caplog.messages if "UTF-8" in line] == [
        "A WebSocket was closed: its client sent text that is not UTF-8."
    ]


def test_a_character_may_be_divided_between_two_fragments(serve: Serve, dial: Dial):
    connection = dial(serve(OPEN).url)
    connection.sendall(UPGRADE + b"\r\n")
    assert Answers(connection).next()[0] == 101
    message = SHAKES[:-2].replace(b"]", '],"id":"\u00e9"'.encode()) + b"}]"
    half = message.index(b"\xa9")
    connection.sendall(frame(1, message[:half], last=False) + frame(0, message[half:]))
    assert '"id":"\u00e9"'.encode() in connection.recv(1000)
