"""The recorder: redacts requests, replies and WebSocket messages in memory and appends them to a journal.

Its caller (a mitmproxy addon, a proxy, an import) calls one method for each event. It starts no thread and never waits.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cometreel import __version__
from cometreel.identity import credentials_of_message
from cometreel.jsonvalue import JSONObject, encode
from cometreel.recording.handed_out import HandedOutValues
from cometreel.recording.header_redaction import HeaderRedactor, split_url
from cometreel.recording.journal_events import JournalHeader
from cometreel.recording.policy import Policy
from cometreel.recording.profile_choice import header_fields
from cometreel.recording.recorded_bodies import ParsedBody, may_be_messages, parse, parse_frame, parse_query, redact
from cometreel.recording.recording_journal import RecordingJournal
from cometreel.recording.redaction import Redactor
from cometreel.scenario import ProfileChoice
from cometreel.wire import Headers

__all__ = ["Recorder"]

_NOT_BAYEUX = ParsedBody("none")
_MOST_REQUESTS, _MOST_NUMBERS = 10_000, 16
"""Of how many requests, and how many of each, the secrets are compared."""

_RAW_BYTE = re.compile("[\udc80-\udcff]")
"""A byte of a request target that is not UTF-8, as `field_text` returns it."""
_NO_HEADERS = Headers()
_NO_HEAD: JSONObject = {}
_MOST_HEADS = 1_000
_HANDED_OUT = frozenset({"who", "cookies", "values"})
"""The members of a reply that identify a session later."""


@dataclass(slots=True)
class _Flow:
    """The state of an open request or WebSocket."""

    label: str
    bayeux: bool = False
    callback: bool = False
    method: str = ""
    upgrade: tuple[JSONObject, JSONObject] | None = field(default=None, repr=False)
    """The heads of the upgrade and of its reply, of a WebSocket that is not recorded yet."""
    opened_at: float = 0.0


class Recorder:
    """Writes one journal. `clock` returns seconds since 1970; the argument `at` of a method overrides it.

    `report` is called with one line, without recorded values, when the journal can't be written and when it can be
    written again; the default is the logger of this module. Traffic never fails because of the journal.

    :raises FileInvalid: if the journal can't be opened for appending.
    """

    def __init__(
        self,
        journal_path: Path | str,
        *,
        policy: Policy,
        profile: ProfileChoice,
        clock: Callable[[], float],
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._report = report or logging.getLogger(__name__).error
        name, correlation = header_fields(profile)
        header = JournalHeader(__version__, round(clock(), 6), name, policy.name, correlation)
        self._journal = RecordingJournal.open(Path(journal_path), header)
        self._redactor = Redactor(policy, self._journal.key)
        self._head_redactor = HeaderRedactor(self._redactor)
        self._handed_out = HandedOutValues(policy, self._redactor.pseudonyms.token)
        self._flows: dict[str, _Flow] = {}
        self._count = self._recorded = self._lost = self._unreported = 0
        self._left_out: Counter[str] = Counter()
        self._secret_requests: dict[bytes, list[bytes]] = {}
        self._heads: dict[int, tuple[JSONObject, bytes]] = {}  # by the identity of the head
        self._run = ""
        if self._journal.resumed:
            self._run = f"{max(0, round(self._time(None) * 1000)):x}-"
            self._write("resume", None, {"cometreel": __version__}, None)

    @property
    def path(self) -> Path:
        """Path of the journal."""
        return self._journal.path

    @property
    def lost(self) -> int:
        """Number of events that could not be written."""
        return self._lost

    @property
    def recorded(self) -> int:
        """Number of events that were written."""
        return self._recorded

    def request(
        self,
        flow: str,
        method: str,
        url: str,
        headers: Headers,
        body: bytes | None,
        *,
        wanted: bool = False,
        at: float | None = None,
        missing: str = "",
    ) -> bool:
        """Record a request if it is Bayeux or `wanted`; return True if it was recorded.

        `at` is the start of the request. A body of None is not available, for the reason `missing`.
        """
        url = _escaped(url)
        parsed, callback = self._parse_request(url, headers, body, missing, wanted=wanted)
        if parsed.kind != "bayeux" and not wanted:
            return False
        state = self._start(flow)
        state.bayeux, state.callback, state.method = parsed.kind == "bayeux", callback, method.upper()
        path, query = split_url(url)
        head = self._head_redactor.request(method, url.partition("?")[0] if callback else url, headers)
        values = self._handed_out.in_request(path, query, headers, parsed)
        fields = redact(parsed, self._redactor)
        if "omitted" in fields and body:
            fields["digest"] = self._redactor.pseudonyms.token(hashlib.sha256(body).hexdigest())
        elif parsed.kind != "bayeux" and (number := self._number_of_secrets(url, body or b"", head, fields)):
            fields["digest"] = str(number)
        line = {**self._credentials(parsed, head), **_values(values), **fields}
        self._write("request", state, line, at, head)
        return True

    def _number_of_secrets(self, url: str, body: bytes, head: JSONObject, fields: JSONObject) -> int:
        """Return a number that differs for requests that differ only in secrets; 0 for the first and for others."""
        hidden, query = fields.get("hid"), head.get("hid-query")
        in_body = isinstance(hidden, dict) and "secret" in hidden
        if not in_body and not (isinstance(query, dict) and "secret" in query.values()):
            return 0
        redacted = hashlib.sha256(encode([head.get("path"), head.get("query"), fields])).digest()
        if redacted not in self._secret_requests and len(self._secret_requests) >= _MOST_REQUESTS:
            return 0
        sent = self._secret_requests.setdefault(redacted, [])
        digest = hashlib.sha256(f"{url}\n".encode("utf-8", "surrogatepass") + body).digest()
        if digest not in sent and len(sent) < _MOST_NUMBERS:
            sent.append(digest)
        return sent.index(digest) if digest in sent else _MOST_NUMBERS

    def reply(
        self,
        flow: str,
        status: int,
        headers: Headers,
        body: bytes | None,
        *,
        wanted: bool = True,
        at: float | None = None,
        missing: str = "",
    ) -> None:
        """Record the complete reply of a recorded request. A body of None is not available, for the reason `missing`.

        A reply that is neither Bayeux nor `wanted` is recorded without its content.
        """
        state = self._flows.pop(flow, None)
        if state is None:
            return
        if not (state.bayeux or wanted):
            self._write("unwanted", state, {}, at)
            return
        head = self._head_redactor.reply(status, headers, state.method, bayeux=state.bayeux)
        if state.method == "HEAD":
            body = b""  # an importer knows the length, and takes the body for lost
        kind = headers.get("content-type") or ""
        parsed = parse(body, kind, bayeux=state.bayeux, callback=state.callback, missing=missing)
        values = self._handed_out.in_reply(headers, parsed)
        self._write("reply", state, {**_values(values), **redact(parsed, self._redactor)}, at, head)

    def stream(self, flow: str, *, at: float | None = None) -> None:
        """Record that the reply of a recorded request is an event stream, which is not recorded."""
        state = self._flows.pop(flow, None)
        if state is not None:
            self._write("unwanted", state, {"text": "an event stream"}, at)

    def leave_out(self, reason: str) -> None:
        """Count traffic that is not recorded; `close` writes the numbers."""
        self._left_out[reason] += 1

    def is_recorded(self, flow: str) -> bool:
        """Return True if the request is recorded and open."""
        return flow in self._flows

    def is_bayeux(self, flow: str) -> bool:
        """Return True if the request or WebSocket is open and has sent Bayeux messages."""
        state = self._flows.get(flow)
        return state is not None and state.bayeux

    def error(self, flow: str, message: str, *, at: float | None = None) -> None:
        """Record that a recorded request failed."""
        state = self._flows.pop(flow, None)
        if state is not None:
            self._write("error", state, {"text": self._redactor.message(message)}, at)

    def opened(
        self,
        flow: str,
        url: str,
        headers: Headers,
        reply_headers: Headers = _NO_HEADERS,
        *,
        wanted: bool = False,
        at: float | None = None,
    ) -> None:
        """Record a WebSocket: at once if `wanted`, else from its first Bayeux message.

        `reply_headers` are those of the reply with status 101. It is recorded if it sets a cookie or hands out a value.
        """
        state = self._start(flow)
        url = _escaped(url)
        values = self._handed_out.in_request(*split_url(url), headers, _NOT_BAYEUX)
        head = self._head_redactor.request("GET", url, headers)
        handed_out = self._handed_out.in_reply(reply_headers, _NOT_BAYEUX)
        reply = self._head_redactor.reply(101, reply_headers, bayeux=True)
        state.upgrade = {**head, **_values(values)}, {**reply, **_values(handed_out)}
        state.opened_at = self._clock() if at is None else at
        if wanted:
            self._write_upgrade(state)

    def frame(self, flow: str, from_client: bool, text: str | bytes, *, at: float | None = None) -> None:
        """Record a message of a WebSocket."""
        state = self._flows.get(flow)
        if state is None or (state.upgrade is not None and not may_be_messages(text)):
            return
        parsed = parse_frame(text, bayeux=state.bayeux)
        state.bayeux = state.bayeux or parsed.kind == "bayeux"
        if state.upgrade is not None:
            if not state.bayeux:
                return
            self._write_upgrade(state)
        side = "client" if from_client else "server"
        values = self._handed_out.in_request("", "", _NO_HEADERS, parsed) if from_client else {}
        credentials = self._credentials(parsed, {}) if from_client else {}
        line = {"from": side, **credentials, **_values(values), **redact(parsed, self._redactor)}
        self._write("frame", state, line, at)

    def closed(self, flow: str, code: int, *, at: float | None = None) -> None:
        """Record the end of a WebSocket."""
        state = self._flows.pop(flow, None)
        if state is not None and state.upgrade is not None:
            self.leave_out("a WebSocket without CometD messages")
        elif state is not None:
            self._write("close", state, {"status": code}, at)

    def mark(self, text: str) -> None:
        """Write a remark of the user into the journal."""
        self._write("mark", None, {"text": self._redactor.text(text)}, None)

    def write_left_out(self) -> None:
        """Write the numbers of `leave_out` into the journal."""
        for reason, count in self._left_out.items():
            self._write("unwanted", None, {"text": reason, "count": count}, None)
        self._left_out.clear()

    def close(self) -> None:
        """Close the journal; may be called twice."""
        self.write_left_out()
        self._journal.close()

    def _parse_request(
        self, url: str, headers: Headers, body: bytes | None, missing: str, *, wanted: bool
    ) -> tuple[ParsedBody, bool]:
        """Parse the body of a request; also return True if the messages are in the query. Fast for other traffic."""
        if body is None:
            return parse(None, "", missing=missing), False
        if body:
            if wanted or b"channel" in body:
                return parse(body, headers.get("content-type") or "", request=True), False
            return _NOT_BAYEUX, False
        messages = parse_query(split_url(url)[1]) if "message=" in url else []
        return (ParsedBody("bayeux", list(messages)), True) if messages else (_NOT_BAYEUX, False)

    def _credentials(self, parsed: ParsedBody, head: JSONObject) -> JSONObject:
        """Return the token of the credentials in the first Bayeux message that has some, if the head has none."""
        messages = parsed.value if parsed.kind == "bayeux" and isinstance(parsed.value, list) else []
        found = (credentials_of_message(message) for message in messages if isinstance(message, dict))
        token = next((each.token for each in found if each is not None and each.token is not None), None)
        if token is None or "credentials" in head:
            return {}
        return {"credentials": self._redactor.pseudonyms.token(token)}

    def _start(self, flow: str) -> _Flow:
        self._count += 1
        state = self._flows[flow] = _Flow(f"{self._run}f{self._count}")
        return state

    def _write_upgrade(self, state: _Flow) -> None:
        assert state.upgrade is not None
        (request, reply), state.upgrade = state.upgrade, None
        self._write("open", state, request, state.opened_at)
        if not _HANDED_OUT.isdisjoint(reply):
            self._write("reply", state, reply, state.opened_at)

    def _time(self, at: float | None) -> float:
        return round((self._clock() if at is None else at) - self._journal.header.started, 6)

    def _write(
        self, kind: str, flow: _Flow | None, fields: JSONObject, at: float | None, head: JSONObject = _NO_HEAD
    ) -> None:
        start: JSONObject = {"t": self._time(at), "kind": kind}
        if flow:
            start["flow"] = flow.label
        try:
            weak = self._redactor.secrets.take_weak_places()
            line = self._line(start, head, {**fields, "weak": list(weak)} if weak else fields)
            if self._unreported:
                self._journal.write({"t": self._time(None), "kind": "lost", "count": self._unreported})
                self._report(f"{self.path}: can be written again; {self._unreported} events were lost")
                self._unreported = 0
            self._journal.write_line(line)
            self._recorded += 1
        except OSError as error:
            self._write_failed(error)

    def _line(self, start: JSONObject, head: JSONObject, fields: JSONObject) -> bytes:
        """Return a journal line without known secrets. `start` has none; a head is that of many requests."""
        try:
            encoded = encode(fields)
        except (ValueError, RecursionError):  # a number that JSON can't express, or nested too deeply
            body = ("bayeux", "json", "hid")
            fields = {key: value for key, value in fields.items() if key not in body}
            fields["omitted"] = "JSON that can't be stored"
            encoded = encode(fields)
        encoded_head = self._encoded_head(head)
        flow = f',"flow":"{start["flow"]}"' if "flow" in start else ""
        encoded_start = f'{{"t":{start["t"]!r},"kind":"{start["kind"]}"{flow}'.encode()
        line = b"%b%b%b}" % (encoded_start, encoded_head, b"," + encoded[1:-1] if fields else b"")
        secrets = self._redactor.secrets
        if secrets.is_clean(encoded_head, again=True) and secrets.is_clean(encoded):
            return line
        return secrets.scrub(line, {**start, **head, **fields}, self._redactor.pseudonyms.token)

    def _encoded_head(self, head: JSONObject) -> bytes:
        """Return the members of a head as JSON; a head that the redactor returns again is not encoded again."""
        found = self._heads.get(id(head))
        if found is None or found[0] is not head:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            found = self._heads[id(head)] = head, b"," + encode(head)[1:-1] if head else b""
        return found[1]

    def _write_failed(self, error: OSError) -> None:
        if not self._unreported:
            reason = error.strerror or type(error).__name__
            self._report(f"{self.path}: can't be written: {reason}; traffic continues, but these events are lost")
        self._lost += 1
        self._unreported += 1


def _escaped(url: str) -> str:
    """Percent-encode the bytes that are not UTF-8, which means the same."""
    return url if url.isascii() else _RAW_BYTE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", url)


def _values(values: JSONObject) -> JSONObject:
    return {"values": values} if values else {}
