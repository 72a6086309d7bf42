"""The targets of the fuzzer: a check, and the valid inputs that are edited."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from cometreel.cli import run
from cometreel.jsonvalue import JSON
from tests.fuzzing.checks import (
    CLIENT_ID,
    ENDPOINT,
    TOKEN,
    check_bayeux,
    check_connection,
    check_journal,
    check_scenario,
    check_traffic,
)
from tests.serve.raw_request_table import ANSWERED, get, post

__all__ = ["FAILING", "TARGETS", "FuzzTarget"]

ROOT = Path(__file__).parents[2]
FAILING: Final = Path(__file__).parent / "failing"
"""The inputs that have failed: a folder for each target. Tests check them again."""
SHORT = 10_000
"""Bytes of the longest HTTP request that is edited; the table also has very long ones."""


@dataclass(frozen=True, slots=True)
class FuzzTarget:
    """A check of the inputs of one kind, and its corpus: valid inputs, given a temporary folder."""

    name: str
    check: Callable[[bytes], None]
    valid: Callable[[Path], list[bytes]]

    def corpus(self, folder: Path) -> list[bytes]:
        """Return the valid inputs and those that have failed."""
        return [*self.valid(folder), *(path.read_bytes() for path in self.failing())]

    def failing(self) -> list[Path]:
        """Return the files with inputs that have failed."""
        return sorted((FAILING / self.name).glob("*"))


def _http(_folder: Path) -> list[bytes]:
    return [data for data in ANSWERED.values() if len(data) < SHORT]


def _message(channel: str, **members: JSON) -> dict[str, JSON]:
    return {"channel": channel, "id": "1", "clientId": CLIENT_ID, **members}


HANDSHAKE: dict[str, JSON] = {
    "channel": "/meta/handshake",
    "version": "1.0",
    "supportedConnectionTypes": ["long-polling", "websocket"],
}
MESSAGES: list[dict[str, JSON]] = [
    {**HANDSHAKE, "ext": {"ack": True, "token": "t"}, "advice": {"timeout": 100, "interval": 0}},
    _message("/meta/connect", connectionType="long-polling", advice={"timeout": 0}, ext={"ack": 3}),
    _message("/meta/connect", connectionType="websocket"),
    _message("/meta/connect", connectionType="callback-polling"),
    _message("/meta/subscribe", subscription=["/a", "/b/*", "/c/**"]),
    _message("/meta/unsubscribe", subscription="/a"),
    _message("/a", data={"text": "hello"}),
    _message("/service/x", data=[1, 2], ext={"y": None}),
    _message("/meta/disconnect"),
]


def _bayeux(_folder: Path) -> list[bytes]:
    one = [json.dumps([message]).encode() for message in MESSAGES]
    return [*one, json.dumps(MESSAGES).encode(), json.dumps(MESSAGES[0]).encode()]


def _websocket(_folder: Path) -> list[bytes]:
    upgrade = get(ENDPOINT, b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" + _KEY)
    texts = [json.dumps([message]).encode() for message in MESSAGES]
    handshake = _frame(1, json.dumps([HANDSHAKE]).encode())
    return [
        *(upgrade + handshake + _frame(1, text) for text in texts),
        upgrade + handshake + _frame(9, b"ping") + _frame(10, b"pong") + _frame(8, b"\x03\xe8bye"),
        upgrade + _frame(1, texts[0][:9], last=False) + _frame(9, b"") + _frame(0, texts[0][9:]),
        upgrade + _frame(2, b"\0\1\2") + handshake,
    ]


_KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


def _frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """Return a masked frame with a masking key of zero (RFC 6455 §5.2)."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes([opcode | 0x80 * last]) + length + bytes(4) + payload


def _callback_polling(_folder: Path) -> list[bytes]:
    queries = [f"jsonp=jq_1.cb$&message={quote(json.dumps([message]))}" for message in MESSAGES]
    queries += [f"message={quote(json.dumps(MESSAGES))}&jsonp=f", "jsonp=f", "jsonp=alert(1)//&message=[]"]
    return [get(f"{ENDPOINT}?{query}") for query in queries]


def _admin(_folder: Path) -> list[bytes]:
    token = f"Authorization: Bearer {TOKEN}\r\n".encode()
    reads = (
        *("/", "/sessions?after=0&limit=2", "/calls?operation=Subscribe&since=0", "/calls?body=%7B%22a%22%3A1%7D"),
        *("/unmatched", "/unmatched/1/exchange", "/unplayed", "/given-up", "/settings", "/metrics", "/faults"),
        *("/events?since=0", "/events?glance", "/console/page.js"),
    )
    fault: JSON = {"exchange": "stats", "nth": 2, "status": 503, "delay": "10ms"}
    pushed: JSON = {"channel": "/a", "data": {"x": 1}, "session": 1}
    writes: list[tuple[str, str, JSON]] = [
        ("POST", "/faults", fault),
        ("POST", "/faults", {"meta": "/meta/connect", "every": 3, "error": "500::x"}),
        ("POST", "/push", pushed),
        ("PUT", "/speed", {"speed": 2}),
        ("PUT", "/scenario", {"cometreel": 1, "exchanges": [{"name": "a", "request": {"method": "GET", "path": "/"}}]}),
    ]
    miss = get("/api/v2/nowhere")
    return [
        *(miss + get(f"/__reel__{path}", token) for path in reads),
        *(
            post(json.dumps(body).encode(), token, path=f"/__reel__{path}").replace(b"POST", method.encode(), 1)
            for method, path, body in writes
        ),
        get("/__reel__/reset", token, method="POST") + get("/__reel__/faults/1", token, method="DELETE"),
    ]


def _scenarios(_folder: Path) -> list[bytes]:
    shipped = sorted((ROOT / "scenarios").glob("*.yaml"))
    as_json = {"cometreel": 1, "exchanges": [{"name": "a", "request": {"method": "GET", "path": "/"}}]}
    return [*(path.read_bytes() for path in shipped), json.dumps(as_json).encode()]


def _exported(folder: Path, *, form: str) -> list[bytes]:
    """Return shipped scenarios as the files of another program."""
    found = []
    for name in ("request_stats", "chat_publish"):
        file = folder / f"{name}.{form}"
        arguments = ["--mitm", str(file)] if form == "mitm" else ["--har", "-o", str(file)]
        if not file.exists() and run(["export", str(ROOT / "scenarios" / f"{name}.yaml"), *arguments]):
            raise RuntimeError(f"{name}.yaml can't be exported as {form}")
        found.append(file.read_bytes())
    return found


def _journals(_folder: Path) -> list[bytes]:
    whole = (ROOT / "recordings" / "workbin-desktop.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    return [whole, *(lines[0] + b"".join(lines[start : start + 12]) for start in range(1, len(lines), 12))]


TARGETS: Final[Mapping[str, FuzzTarget]] = MappingProxyType(
    {
        target.name: target
        for target in (
            FuzzTarget("http", check_connection, _http),
            FuzzTarget("bayeux", check_bayeux, _bayeux),
            FuzzTarget("websocket", check_connection, _websocket),
            FuzzTarget("callback-polling", check_connection, _callback_polling),
            FuzzTarget("admin", check_connection, _admin),
            FuzzTarget("scenario", check_scenario, _scenarios),
            FuzzTarget("har", check_traffic, partial(_exported, form="har")),
            FuzzTarget("flows", check_traffic, partial(_exported, form="mitm")),
            FuzzTarget("journal", check_journal, _journals),
        )
    }
)
"""The targets by name."""
