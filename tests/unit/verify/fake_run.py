"""A verify run with a scenario in YAML, replies given by the test, and a clock set by the test."""

from __future__ import annotations

from pathlib import Path

from cometreel.jsonvalue import JSON, encode
from cometreel.recording import load_policy
from cometreel.scenario import load
from cometreel.verify import ReportMasking, Script, Verdict, VerifyRun, build_script
from cometreel.verify.observations import LiveReply
from cometreel.verify.run import CloseSession, OpenSession, RunAction, SendPublish, SendRequest
from cometreel.wire import Headers

TOPIC = "/v2/me/workbins"
KEY = bytes(32)


def report_masking() -> ReportMasking:
    """Return the masking of the default policy."""
    return ReportMasking(load_policy("default"), KEY)


class FakeRun:
    """Drives one run. `log` contains the actions since the last call of `actions`."""

    def __init__(self, folder: Path, text: str, **settings: object) -> None:
        path = folder / "s.yaml"
        path.write_text(text)
        self.script: Script = build_script(load([path]))
        self.run = VerifyRun(self.script, report_masking(), **settings)  # type: ignore[arg-type]  # a test's own words
        self.now = 100.0
        self.log: list[str] = []
        self.headers: dict[int, tuple[tuple[str, str], ...]] = {}
        self._note(self.run.start(self.now))

    def at(self, seconds: float) -> FakeRun:
        """Set the time, in seconds since the start, and call `advance` at each deadline before it."""
        end = 100.0 + seconds
        while not self.run.finished and (due := self.run.deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self._note(self.run.advance(self.now))
        self.now = end
        return self

    def connects(self, session: str = "everybody") -> FakeRun:
        """Complete the CometD session."""
        return self._note(self.run.connected(session, self.now))

    def replies(self, number: int, body: JSON = None, status: int = 200, **headers: str) -> FakeRun:
        """Reply to a request."""
        content = b"" if body is None else body.encode() if isinstance(body, str) else encode(body)
        fields = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
        return self._note(self.run.replied(number, LiveReply(status, fields, content), self.now))

    def acknowledges(self, number: int, **members: JSON) -> FakeRun:
        """Acknowledge a publish."""
        return self._note(self.run.published(number, {"successful": True, **members}, self.now))

    def does_not_answer(self, number: int, reason: str = "no reply within 10 s") -> FakeRun:
        """Fail a request without a reply."""
        return self._note(self.run.no_answer(number, reason, self.now))

    def notifies(self, data: JSON, channel: str = TOPIC, session: str = "everybody") -> FakeRun:
        """Deliver a message."""
        return self._note(self.run.received(session, {"channel": channel, "data": data}, self.now))

    def sent_headers(self, number: int) -> tuple[tuple[str, str], ...]:
        """Return the header fields of a request that was sent."""
        return self.headers[number]

    def actions(self) -> list[str]:
        """Return the actions since the last call."""
        actions, self.log = self.log, []
        return actions

    def verdict(self) -> Verdict:
        """Finish the run and return its verdict."""
        self.at(1000)
        assert self.run.finished, "the run waits for a reply that the test did not give"
        return self.run.verdict("http://live")

    def lines(self) -> list[str]:
        """Return the lines of the differences and of exchanges that were not played, without the folder."""
        folder = str(self.script.scenario.files[0].parent) + "/"
        return [line.replace(folder, "") for step in self.verdict().steps for line in step.lines()]

    def notes(self) -> list[str]:
        """Return the notes, without the folder."""
        folder = str(self.script.scenario.files[0].parent) + "/"
        return [note.replace(folder, "") for note in self.verdict().notes]

    def _note(self, actions: list[RunAction]) -> FakeRun:
        self.log += map(_describe, actions)
        self.headers |= {each.number: each.request.headers for each in actions if isinstance(each, SendRequest)}
        return self


def _describe(action: RunAction) -> str:
    if isinstance(action, OpenSession):
        return f"connect {action.session}"
    if isinstance(action, CloseSession):
        return f"disconnect {action.session}"
    if isinstance(action, SendPublish):
        return f"{action.number} publish {action.request.channel} {encode(action.request.data).decode()}"
    assert isinstance(action, SendRequest)
    body = f" {action.request.body.decode()}" if action.request.body else ""
    anonymous = " anonymously" if action.anonymous else ""
    return f"{action.number} {action.request.method} {action.request.url}{body}{anonymous}"
