"""The recorder: takes what crossed the wire, redacts it in memory, and appends it to the journal.

The door (a mitmproxy addon, a test) calls one method for each thing that happened. This room knows nothing of
mitmproxy, starts no thread and never waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cometreel import __version__
from cometreel.jsonvalue import JSONObject, encode
from cometreel.recording.header_redaction import HeaderRedactor, split_url
from cometreel.recording.journal_events import JournalHeader
from cometreel.recording.policy import Policy
from cometreel.recording.recorded_bodies import ParsedBody, parse, parse_frame, parse_query, redact
from cometreel.recording.recording_journal import RecordingJournal
from cometreel.recording.redaction import Redactor
from cometreel.scenario import Profile
from cometreel.wire import Headers

__all__ = ["Recorder"]

_NOT_BAYEUX = ParsedBody("none")


@dataclass(slots=True)
class _Flow:
    """What the recorder remembers of a request in flight, or of an open WebSocket."""

    label: str
    bayeux: bool = False
    callback: bool = False
    waiting: JSONObject | None = field(default=None, repr=False)


class Recorder:
    """Write one journal. `clock` is wall clock, seconds since 1970; `at` in a call overrides it.

    `tell` gets one clear line, free of values, when the journal can't be written and when it can again; the default
    is this module's logger. Traffic never waits for the journal and never fails because of it.

    :raises FileInvalid: if the journal can't be opened for appending.
    """

    def __init__(
        self,
        journal_path: Path | str,
        *,
        policy: Policy,
        profile: Profile,
        clock: Callable[[], float],
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._tell = tell or logging.getLogger(__name__).error
        header = JournalHeader(__version__, round(clock(), 6), profile.name, policy.name)
        self._journal = RecordingJournal.open(Path(journal_path), header)
        self._redactor = Redactor(policy, self._journal.key)
        self._heads = HeaderRedactor(self._redactor)
        self._flows: dict[str, _Flow] = {}
        self._count = self._recorded = self._lost = self._unsaid = 0
        self._run = ""
        if self._journal.resumed:
            self._run = f"{max(0, round(self._time(None) * 1000)):x}-"
            self._write("resume", None, {"cometreel": __version__}, None)

    @property
    def path(self) -> Path:
        """Where the journal lies."""
        return self._journal.path

    @property
    def lost(self) -> int:
        """How many events could not be written."""
        return self._lost

    @property
    def recorded(self) -> int:
        """How many events were written."""
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
    ) -> bool:
        """Record a request if it has the shape of Bayeux or is wanted; tell whether it was recorded.

        `at` is the moment when it started. A body of None passed through without being kept.
        """
        parsed, callback = self._question(url, headers, body, wanted=wanted)
        if parsed.kind != "bayeux" and not wanted:
            return False
        state = self._start(flow)
        state.bayeux, state.callback = parsed.kind == "bayeux", callback
        head = self._heads.request(method, split_url(url)[0] if callback else url, headers)
        self._write("request", state, {**head, **redact(parsed, self._redactor)}, at)
        return True

    def reply(
        self,
        flow: str,
        status: int,
        headers: Headers,
        body: bytes | None,
        *,
        wanted: bool = True,
        at: float | None = None,
    ) -> None:
        """Record the reply of a recorded request, at the moment when it was complete.

        A reply that nobody wants, now that it is seen, is recorded as just that, unless it is Bayeux.
        """
        state = self._flows.pop(flow, None)
        if state is None:
            return
        if not (state.bayeux or wanted):
            self._write("unwanted", state, {}, at)
            return
        head = self._heads.reply(status, headers)
        parsed = parse(body, headers.get("content-type") or "", bayeux=state.bayeux, callback=state.callback)
        self._write("reply", state, {**head, **redact(parsed, self._redactor)}, at)

    def error(self, flow: str, message: str, *, at: float | None = None) -> None:
        """Record that a recorded request never got its reply, or that its reply never arrived."""
        state = self._flows.pop(flow, None)
        if state is not None:
            self._write("error", state, {"text": self._redactor.message(message)}, at)

    def opened(self, flow: str, url: str, headers: Headers, *, wanted: bool = False, at: float | None = None) -> None:
        """Remember that a WebSocket was opened; it is recorded from its first Bayeux frame, or if wanted."""
        state = self._start(flow)
        state.waiting = {"t": self._time(at), **self._heads.request("GET", url, headers)}
        if wanted:
            self._begin(state)

    def frame(self, flow: str, from_client: bool, text: str | bytes, *, at: float | None = None) -> None:
        """Record one message of a WebSocket."""
        state = self._flows.get(flow)
        if state is None:
            return
        parsed = parse_frame(text, bayeux=state.bayeux)
        state.bayeux = state.bayeux or parsed.kind == "bayeux"
        if state.waiting is not None:
            if not state.bayeux:
                return
            self._begin(state)
        side = "client" if from_client else "server"
        self._write("frame", state, {"from": side, **redact(parsed, self._redactor)}, at)

    def closed(self, flow: str, code: int, *, at: float | None = None) -> None:
        """Record that a WebSocket ended."""
        state = self._flows.pop(flow, None)
        if state is not None and state.waiting is None:
            self._write("close", state, {"status": code}, at)

    def mark(self, text: str) -> None:
        """Write the user's own mark into the journal."""
        self._write("mark", None, {"text": self._redactor.loose(text)}, None)

    def close(self) -> None:
        """Close the journal; closing twice is no error."""
        self._journal.close()

    # --------------------------------------------------------------------------------------------------------

    def _question(self, url: str, headers: Headers, body: bytes | None, *, wanted: bool) -> tuple[ParsedBody, bool]:
        """Look at a request: its body, and whether its messages came in the query. Cheap for what isn't ours."""
        if body is None:
            return parse(None, ""), False
        if body:
            if wanted or b"channel" in body:
                return parse(body, headers.get("content-type") or ""), False
            return _NOT_BAYEUX, False
        messages = parse_query(split_url(url)[1]) if "message=" in url else []
        return (ParsedBody("bayeux", list(messages)), True) if messages else (_NOT_BAYEUX, False)

    def _start(self, flow: str) -> _Flow:
        self._count += 1
        state = self._flows[flow] = _Flow(f"{self._run}f{self._count}")
        return state

    def _begin(self, state: _Flow) -> None:
        waiting, state.waiting = state.waiting, None
        self._write("open", state, waiting or {}, None)

    def _time(self, at: float | None) -> float:
        return round((self._clock() if at is None else at) - self._journal.header.started, 6)

    def _write(self, kind: str, flow: _Flow | None, fields: JSONObject, at: float | None) -> None:
        event: JSONObject = {"t": self._time(at), "kind": kind, **({"flow": flow.label} if flow else {}), **fields}
        try:
            line = self._line(event)
            if self._unsaid:
                self._journal.write({"t": self._time(None), "kind": "lost", "count": self._unsaid})
                self._tell(f"{self.path}: can be written again; {self._unsaid} events were lost")
                self._unsaid = 0
            self._journal.write_line(line)
            self._recorded += 1
        except OSError as error:
            self._missed(error)

    def _line(self, event: JSONObject) -> bytes:
        try:
            line = encode(event)
        except (ValueError, RecursionError):  # a number beyond JSON, or nested beyond what can be written
            body = ("bayeux", "json", "hid")
            event = {key: value for key, value in event.items() if key not in body}
            event["omitted"] = "JSON that would not survive"
            line = encode(event)
        return self._redactor.secrets.scrub(line, event, self._redactor.pseudonyms.token)

    def _missed(self, error: OSError) -> None:
        if not self._unsaid:
            reason = error.strerror or type(error).__name__
            self._tell(f"{self.path}: can't be written: {reason}; the traffic goes on, these events are lost")
        self._lost += 1
        self._unsaid += 1
