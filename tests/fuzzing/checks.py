"""The promises that the fuzzer checks for any input: no exception, valid output, every request answered, an end."""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path

from cometreel.engine import Backend, ReplaySettings
from cometreel.engine.id_generator import IdGenerator
from cometreel.errors import CometreelError
from cometreel.jsonvalue import decode
from cometreel.recording import distill, load_policy
from cometreel.scenario import CompiledScenario, dump, loads, profile
from cometreel.serve import ReplayApp, replay_app
from cometreel.serve.admin.auth import AdminAuth
from cometreel.serve.admin.on_demand import admin_factory
from cometreel.traffic.import_traffic import import_traffic
from cometreel.wire import Accept, Begin, Drop, Effect, Forward, Headers, Reply, Request
from tests.serve.memory_transport import EmbeddedApp, connected, settled
from tests.serve.raw_request_table import TABLE_SCENARIO

__all__ = [
    "CLIENT_ID",
    "ENDPOINT",
    "TOKEN",
    "PromiseBroken",
    "check_bayeux",
    "check_connection",
    "check_frames",
    "check_journal",
    "check_responses",
    "check_scenario",
    "check_traffic",
]

ENDPOINT = "/api/v2/notifications"
TOKEN = "the-token-of-the-fuzzer"  # it protects nothing
LONGEST_HOLD = 3600.0
"""Seconds of virtual time after which every held request must have been answered."""


class PromiseBroken(AssertionError):
    """An input for which a promise doesn't hold."""


# ------------------------------------------------------------------ connections
def check_connection(data: bytes) -> None:
    """Send bytes to a replay with its admin API: HTTP, WebSocket and callback-polling on one connection.

    The connection calls the replay directly, and then as any ASGI application. Each time, the output must be complete
    HTTP responses, then complete frames after an accepted WebSocket. No task may fail, and nothing may be logged as an
    error.
    """
    for direct in (True, False):
        with _no_errors_logged():
            output = _runner().run(_output(data, direct=direct))
        check_responses(output, has_head=b"HEAD" in data or b"CONNECT" in data)


@cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


async def _output(data: bytes, *, direct: bool) -> bytes:
    """Send the bytes in two packets, then disconnect; return what was written."""
    failures: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: failures.append(str(context.get("exception") or context)))
    async with _application() as app:
        transport = connected(app if direct else EmbeddedApp(app))
        for packet in (data[: len(data) // 2], data[len(data) // 2 :]):
            transport.receive(packet)
            await settled(transport)
        output = transport.data
        transport.lose()
        await settled(transport)
    if failures:
        raise PromiseBroken(f"a task or a callback failed: {failures[0]}")
    return output


@asynccontextmanager
async def _application() -> AsyncIterator[ReplayApp]:
    factory = replay_app(
        _table_scenario(),
        ReplaySettings(seed="1", max_body=20_000),
        admin=admin_factory(AdminAuth(TOKEN, "any")),
    )
    async with factory() as app:
        yield app


@cache
def _table_scenario() -> CompiledScenario:
    return loads(TABLE_SCENARIO)


class _Errors(logging.Handler):
    """Keeps what is logged as an error, or with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.texts.append(self.format(record))


@contextmanager
def _no_errors_logged() -> Iterator[None]:
    errors, root = _Errors(), logging.getLogger()
    root.addHandler(errors)
    try:
        yield
    finally:
        root.removeHandler(errors)
    if errors.texts:
        raise PromiseBroken(f"it was logged as an error: {errors.texts[0]}")


_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [ -~]*")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([^\x00-\x08\x0a-\x1f\x7f]*)")
_CALLBACK = re.compile(rb"(?s)(?:/\*\*/)?[\w$.]+\((.*)\)")


def check_responses(output: bytes, *, has_head: bool = False) -> None:
    """Check that bytes are complete responses (RFC 9112); with `has_head`, bodies may be absent.

    :raises PromiseBroken: if they are not.
    """
    while output:
        head, end, output = output.partition(b"\r\n\r\n")
        status_line, *lines = head.split(b"\r\n")
        status = _STATUS_LINE.fullmatch(status_line)
        fields = [_FIELD.fullmatch(line) for line in lines]
        if not end or status is None or not all(fields):
            raise PromiseBroken(f"this is no complete head of a response: {head[:500]!r}")
        named = {field[1].lower(): field[2] for field in fields if field is not None}
        if status[1] == b"101":
            check_frames(output)
            return
        if status[1].startswith(b"1") or status[1] in (b"204", b"304"):
            continue
        if has_head and (not output or output.startswith(b"HTTP/1.1 ")):
            continue
        output = _after_body(named, output)


def _after_body(fields: dict[bytes, bytes], output: bytes) -> bytes:
    """Return what follows the body of a response."""
    if fields.get(b"transfer-encoding") == b"chunked":
        while True:
            if not output and fields.get(b"content-type", b"").startswith(b"text/event-stream"):
                return b""  # it is still being sent
            size, end, output = output.partition(b"\r\n")
            length = int(size, 16) if end else -1
            if length < 0 or output[length : length + 2] != b"\r\n":
                raise PromiseBroken(f"a chunk of {length} bytes doesn't end: {output[:200]!r}")
            output = output[length + 2 :]
            if length == 0:
                return output
    if b"content-length" not in fields:
        return b""  # the end of the connection ends the body
    length = int(fields[b"content-length"])
    if len(output) < length:
        raise PromiseBroken(f"a body has {len(output)} bytes; its Content-Length is {length}")
    body = output[:length]
    if fields.get(b"content-type", b"").startswith(b"text/javascript") and _CALLBACK.fullmatch(body) is None:
        raise PromiseBroken(f"a script is no call of a function: {body[:200]!r}")
    return output[length:]


def check_frames(output: bytes) -> None:
    """Check that bytes are complete, unmasked frames (RFC 6455 §5.2), and nothing after a close frame.

    :raises PromiseBroken: if they are not.
    """
    while output:
        opcode, short = output[0], output[1] if len(output) > 1 else 255
        size = {126: 2, 127: 8}.get(short, 0)
        length = int.from_bytes(output[2 : 2 + size]) if size else short
        if opcode not in (0x81, 0x88, 0x89, 0x8A) or short > 127 or len(output) < 2 + size + length:
            raise PromiseBroken(f"this is no complete frame of a server: {output[:100]!r}")
        output = output[2 + size + length :]
        if opcode == 0x88 and output:
            raise PromiseBroken(f"this was sent after a close frame: {output[:100]!r}")


# ------------------------------------------------------------------ the engine
def check_bayeux(body: bytes) -> None:
    """Post a body to the Bayeux endpoint, from a client that has a held poll, and again on a WebSocket.

    Each request gets one answer, at the latest after an hour of virtual time; a body with status 200 is JSON or empty.
    """
    backend = Backend(_table_scenario(), ReplaySettings(seed="1"))
    answered: dict[int, int] = {}
    for number, posted in enumerate((_HANDSHAKE, _POLL, _POLL, body), start=1):
        fields = Headers([("Content-Type", "application/json"), ("Cookie", "JSESSIONID=x")])
        _note(backend.receive(Request(number, "POST", ENDPOINT, "", fields, posted), 0.0), answered)
    _note(backend.receive(Request(5, "GET", ENDPOINT, websocket=True), 0.0), answered)
    _note(backend.frame(5, body.decode("utf-8", "replace"), 0.0), answered)
    now = 0.0
    while (deadline := backend.deadline()) is not None and deadline < LONGEST_HOLD:
        if deadline < now:
            raise PromiseBroken(f"the deadline {deadline} is before the time {now}")
        now = deadline
        _note(backend.advance(now), answered)
    for number in range(1, 5):
        if answered.get(number) != 1:
            raise PromiseBroken(f"request {number} got {answered.get(number, 0)} answers; expected one")


_HANDSHAKE = b'[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]'
CLIENT_ID = IdGenerator("1", None, "").new("client")
"""The id of the first client under this seed."""
_POLL = b'[{"channel":"/meta/connect","connectionType":"long-polling","clientId":"%b"}]' % CLIENT_ID.encode()


def _note(effects: list[Effect], answered: dict[int, int]) -> None:
    for effect in effects:
        if isinstance(effect, Reply) and effect.status == 200 and effect.body:
            decode(effect.body)
        if isinstance(effect, Reply | Begin | Drop | Forward | Accept):
            answered[effect.request_id] = answered.get(effect.request_id, 0) + 1


# ------------------------------------------------------------------ files
def check_scenario(data: bytes) -> None:
    """Load a scenario file and play it; a file that is not valid gives errors with their lines."""
    try:
        scenario = loads(data, "any.yaml")
    except CometreelError as error:
        _check_error(error, "any.yaml")
        return
    backend = Backend(scenario, ReplaySettings(seed="1"))
    for number, (method, path) in enumerate((("GET", "/"), ("POST", "/api/v2/workbins")), start=1):
        backend.receive(Request(number, method, path, body=b'{"operationName":"Subscribe"}'), 0.0)
    backend.advance(60.0)


def check_traffic(data: bytes) -> None:
    """Import a HAR file or a flow file, and load the scenario; a damaged file gives an error with its name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any.har")
        path.write_bytes(data)
        try:
            distilled = import_traffic(
                path, path.with_suffix(".jsonl"), policy=load_policy("default"), profile=profile("gws-v2")
            )
        except CometreelError as error:
            _check_error(error, "any.har")
            return
        loads(dump(distilled.file))


def check_journal(data: bytes) -> None:
    """Distill a journal, and load the scenario; a damaged line is left out or gives an error with its place."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "any.jsonl")
        path.write_bytes(data)
        try:
            distilled = distill(path, profile=profile("gws-v2"))
        except CometreelError as error:
            _check_error(error, "any.")
            return
        loads(dump(distilled.file))


def _check_error(error: CometreelError, name: str) -> None:
    text = str(error)
    if name not in text or "Traceback" in text:
        raise PromiseBroken(f"an error doesn't name the file {name}: {text[:500]}") from error
