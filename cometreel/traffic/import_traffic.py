"""Imports a traffic file: its events are recorded into a journal, and a scenario is distilled from the journal.

The format is detected from the first bytes. mitmproxy is loaded only for a flow file.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from cometreel.errors import FileInvalid, Problem
from cometreel.extras import require_extra
from cometreel.recording import Distilled, Policy, Recorder, distill
from cometreel.scenario import ProfileChoice
from cometreel.traffic.har_files import read_har
from cometreel.traffic.traffic_events import (
    ReplyReceived,
    RequestFailed,
    RequestSent,
    TrafficEvent,
    TrafficEvents,
    WebSocketMessage,
    WebSocketOpened,
)

__all__ = ["import_traffic"]

_EXPECTED = "a HAR file, or a flow file of mitmproxy"
_FIRST_BYTES = 1024
_LONGEST_SECONDS = 30 * 86400
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def import_traffic(
    path: Path,
    journal: Path,
    *,
    policy: Policy,
    profile: ProfileChoice,
    url: re.Pattern[str] | None = None,
    generalise: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Distilled:
    """Record the traffic of a file into a new journal and distil it. The file is not changed.

    Calls whose URL contains a match of `url` are kept besides CometD; without `url`, all calls except scripts, styles,
    images and fonts. Times are taken from the file. `progress` is called with the number of bytes read so far.

    :raises FileInvalid: if the file can't be read, is neither HAR nor a flow file, is damaged or contains nothing to
        record, or if the journal exists. No journal is left behind then.
    """
    if journal.exists():
        raise FileInvalid([Problem(str(journal), 0, 0, "it exists already", "a new file", "choose another name")])
    try:
        with _open_file(path) as file:
            _record(file, path, journal, policy, profile, url, progress or (lambda _: None))
        return distill(journal, profile=profile, generalise=generalise)
    except BaseException:
        for created in (journal, journal.with_suffix(".key")):
            created.unlink(missing_ok=True)
        raise


@contextmanager
def _open_file(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        if error.filename not in (None, str(path), path):
            raise
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, _EXPECTED)]) from None


def _record(
    file: BinaryIO,
    path: Path,
    journal: Path,
    policy: Policy,
    profile: ProfileChoice,
    url: re.Pattern[str] | None,
    progress: Callable[[int], None],
) -> None:
    events = _in_order(_with_progress(_read_groups(file, path, url), file, progress))
    first = next(events, None)
    if first is None:
        raise FileInvalid([Problem(str(path), 0, 0, "it contains no HTTP traffic", "traffic of a CometD application")])
    recorder = Recorder(journal, policy=policy, profile=profile, clock=lambda: first.at)
    try:
        for event in chain([first], events):
            if not abs(event.at - first.at) <= _LONGEST_SECONDS:
                found = f"its times are more than {_LONGEST_SECONDS // 86400} days apart"
                raise FileInvalid([Problem(str(path), 0, 0, found, "the traffic of one recording")])
            _record_event(recorder, event)
    finally:
        recorder.close()
    if not recorder.recorded:
        hint = "it contains no CometD traffic" + (", and no URL matches" if url else "")
        raise FileInvalid([Problem(str(path), 0, 0, "nothing to record", "traffic of a CometD application", hint)])


def _read_groups(file: BinaryIO, path: Path, url: re.Pattern[str] | None) -> Iterator[TrafficEvents]:
    start = file.read(_FIRST_BYTES)
    offset = len(_BYTE_ORDER_MARK) if start.startswith(_BYTE_ORDER_MARK) else 0
    file.seek(offset)

    def is_wanted(address: str) -> bool:
        return url is None or url.search(address) is not None

    if start[offset:].lstrip()[:1] == b"{":
        return read_har(file, str(path), is_wanted)
    if re.match(rb"[0-9]+:", start):  # a netstring: every flow is one
        require_extra("record", "importing a flow file")
        from cometreel.traffic.mitmproxy_flows import read_flows  # noqa: PLC0415  # mitmproxy, an optional dependency

        return read_flows(file, str(path), is_wanted)
    found = "neither HAR nor flows" if start else "the file is empty"
    raise FileInvalid([Problem(str(path), 0, 0, found, _EXPECTED)])


def _with_progress(
    groups: Iterator[TrafficEvents], file: BinaryIO, progress: Callable[[int], None]
) -> Iterator[TrafficEvents]:
    furthest = 0
    for group in groups:
        furthest = max(furthest, file.tell())
        progress(furthest)
        yield group


def _in_order(groups: Iterable[TrafficEvents]) -> Iterator[TrafficEvent]:
    """Yield the events of all groups ordered by time, if the groups are ordered by their first event.

    Only events of requests that are still open are held in memory. Events of a late group keep their own times.
    """
    waiting: list[tuple[float, int, TrafficEvent]] = []
    number = 0
    for group in groups:
        while waiting and waiting[0][0] <= group[0].at:
            yield heapq.heappop(waiting)[2]
        for event in group:
            heapq.heappush(waiting, (event.at, number, event))
            number += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


def _record_event(recorder: Recorder, event: TrafficEvent) -> None:
    """Pass an event to the recorder as a proxy would."""
    if isinstance(event, RequestSent):
        recorder.request(
            event.flow, event.method, event.url, event.headers, event.body, wanted=event.wanted, at=event.at
        )
    elif isinstance(event, ReplyReceived):
        recorder.reply(event.flow, event.status, event.headers, event.body, at=event.at)
    elif isinstance(event, RequestFailed):
        recorder.error(event.flow, event.reason, at=event.at)
    elif isinstance(event, WebSocketOpened):
        recorder.opened(event.flow, event.url, event.headers, wanted=event.wanted, at=event.at)
    elif isinstance(event, WebSocketMessage):
        recorder.frame(event.flow, event.from_client, event.content, at=event.at)
    else:
        recorder.closed(event.flow, event.code, at=event.at)
