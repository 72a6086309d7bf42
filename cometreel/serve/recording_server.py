"""The public API of a recording: `cometreel.record(…)` and the class `RecordingServer` that it returns.

The `reel` fixture of pytest records with the same class.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cometreel.bayeux import looks_like_bayeux
from cometreel.engine import Call, Calls
from cometreel.extras import require_extra
from cometreel.jsonvalue import NotJSON, decode, encode
from cometreel.recording import load_policy
from cometreel.scenario import DETECT, chosen_profile
from cometreel.serve.background import serve_in_background
from cometreel.serve.certificate import certificate_of
from cometreel.serve.http_server import Limits, ListenOptions, connections_allowed

if TYPE_CHECKING:
    from cometreel.recording.recording_session import RecordingResult, RecordingSession  # httpx, an optional dependency

__all__ = ["RecordingServer", "record", "unlimited"]

__tracebackhide__ = True  # of pytest: the traceback of an error ends in the test


def unlimited() -> Limits:
    """Return limits for the clients of a recording, which must work as they do without it."""
    return Limits(connections_allowed(), math.inf, math.inf, sys.maxsize)


class RecordingServer:
    """A proxy on a thread of this process that records the traffic to one server.

    It is returned by `cometreel.record`; `close` or the end of a `with` block writes the scenario. All methods and
    properties may be used from any thread, coroutine or greenlet.
    """

    def __init__(self, session: RecordingSession, options: ListenOptions, *, only_new: bool = False) -> None:
        self._session, self._only_new = session, only_new
        self._calls: list[Call] = []
        self._result: RecordingResult | None = None
        self._server = serve_in_background(session.proxy_factory(self._add_calls), options)

    @property
    def url(self) -> str:
        """The URL for clients, instead of that of the real server, without a trailing slash."""
        return self._server.url

    @property
    def upstream(self) -> str:
        """The URL of the real server."""
        return str(self._session.upstream)

    @property
    def scenario(self) -> Path:
        """The path of the scenario that is recorded."""
        return self._session.scenario

    @property
    def calls(self) -> Calls:
        """The calls so far, all with session 0, because the proxy does not distinguish sessions."""
        return Calls(self._calls)

    @property
    def result(self) -> RecordingResult | None:
        """The paths of the scenario and the journal, and the summary; None before `close`."""
        return self._result

    def close(self) -> RecordingResult:
        """Stop the proxy and write the scenario. A second call only returns the result again.

        If the scenario exists and differs, the new one is written to NAME.new.yaml.

        :raises FileInvalid: if the scenario can't be written; the journal is complete.
        """
        if self._result is None:
            self._server.stop()
            self._result = self._session.finish(only_new=self._only_new)
        return self._result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def __repr__(self) -> str:
        return f"<RecordingServer of {self.upstream} {'closed' if self._result else 'at'} {self.url}>"

    def _add_calls(self, method: str, target: str, body: bytes, status: int | None) -> None:
        for call_method, call_target, call_body in _calls_of(method, target, body):
            self._calls.append(
                Call(
                    at=time.monotonic(),
                    session=0,
                    role=None,
                    user=None,
                    method=call_method,
                    target=call_target,
                    body=call_body,
                    exchange=None,
                    outcome="recorded",
                    number=len(self._calls) + 1,
                    status=status if call_method == method else None,
                )
            )


def record(  # noqa: PLR0913  # one argument for each option of a recording
    upstream: str,
    scenario: str | Path,
    *,
    only_new: bool = False,
    policy: str = "default",
    profile: str = DETECT,
    host: str = "127.0.0.1",
    port: int = 0,
    certificate: str | Path | None = None,
    key: str | Path | None = None,
) -> RecordingServer:
    """Record the traffic to a server with a proxy on a thread of this process, which listens when this returns.

        with cometreel.record("https://gws.example", "desktop.yaml") as proxy:
            httpx.get(proxy.url + "/api/v2/me")
        print(proxy.result.scenario)

    Secrets and personal data are replaced before anything is written. The journal, NAME.jsonl, is kept next to the
    scenario. An existing scenario is not overwritten: a different one is written to NAME.new.yaml. With `only_new`,
    that file has the existing exchanges and those that they don't answer yet.

    `policy` is `default`, `strict` or a policy file; `profile` is a correlation profile, `detect` or a profile file.
    `certificate` and `key` are PEM files for HTTPS between the clients and the proxy.

    :raises OptionInvalid: if an argument is invalid, or the address is not available.
    :raises FileInvalid: if an existing scenario or a policy is invalid, or the journal can't be written.
    :raises ExtraMissing: without the extra `forward`.
    """
    require_extra("forward", "cometreel.record")
    from cometreel.recording.recording_session import RecordingSession  # noqa: PLC0415  # httpx, an optional dependency
    from cometreel.recording.upstream import Upstream  # noqa: PLC0415

    session = RecordingSession(
        Upstream.at(upstream, "upstream"),
        Path(scenario).expanduser(),
        policy=load_policy(policy),
        profile=chosen_profile(profile, "profile"),
    )
    tls = certificate_of(certificate, key)
    return RecordingServer(session, ListenOptions(host, port, tls, unlimited()), only_new=only_new)


def _calls_of(method: str, target: str, body: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Yield method, target and body of a request, or of each publish if it consists of Bayeux messages."""
    try:
        value = decode(body) if b"channel" in body else None
    except NotJSON:
        value = None
    if not looks_like_bayeux(value):
        if method != "WEBSOCKET":
            yield method, target, body
        return
    for message in value if isinstance(value, list) else [value]:
        channel = message.get("channel") if isinstance(message, dict) else None
        if isinstance(message, dict) and isinstance(channel, str) and not channel.startswith("/meta/"):
            yield "PUBLISH", channel, encode(message.get("data"))
