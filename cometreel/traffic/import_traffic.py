"""Imports a traffic file: its events are recorded into a journal, and a scenario is distilled from the journal.

The format is detected from the first bytes. mitmproxy is loaded only for a flow file.
"""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
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
    SkipReporter,
    TrafficEvent,
    TrafficEvents,
    WebSocketMessage,
    WebSocketOpened,
)
from cometreel.traffic.traffic_files import EXPECTED, open_traffic_file

__all__ = ["import_traffic"]

_FIRST_BYTES = 1024
_MOST_SKIPPED = 50


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
    """Record the traffic of a file into a new journal and distill it. The file is not changed.

    Invalid parts of the file are skipped and listed as left out. Calls whose URL contains a match of `url` are kept
    besides CometD; without `url`, all calls except scripts, styles, images and fonts. Times are taken from the file.
    `progress` is called with the number of bytes read so far.

    :raises FileInvalid: if the file can't be read, is neither HAR nor a flow file, is damaged or contains nothing to
        record, or if the journal exists. No journal is left behind then.
    """
    if os.path.exists(journal):  # noqa: PTH110  # pathlib fails for a name that is too long
        raise FileInvalid([Problem(str(journal), 0, 0, "it exists already", "a new file", "choose another name")])
    try:
        with open_traffic_file(path) as (raw, file):
            skipped = _Skipped()
            groups = _with_progress(_read_groups(file, path, url, skipped.append), raw, progress or (lambda _: None))
            _record(groups, path, journal, policy, profile, skipped, has_url=url is not None)
        return distill(journal, profile=profile, generalise=generalise)
    except BaseException:
        for created in (journal, journal.with_suffix(".key")):
            created.unlink(missing_ok=True)
        raise


class _Skipped(list[str]):
    """The parts of the file that were skipped, with their reasons."""

    def lines(self) -> Iterator[str]:
        """Yield a line for each of the first parts, and the number of the others."""
        yield from self[:_MOST_SKIPPED]
        if len(self) > _MOST_SKIPPED:
            yield f"{len(self) - _MOST_SKIPPED} more parts of the file that can't be read"


def _record(
    groups: Iterator[TrafficEvents],
    path: Path,
    journal: Path,
    policy: Policy,
    profile: ProfileChoice,
    skipped: _Skipped,
    *,
    has_url: bool,
) -> None:
    events = _in_order(groups)
    first = next(events, None)
    hint = next(iter(skipped), "")
    if first is None:
        expected = "traffic of a CometD application"
        raise FileInvalid([Problem(str(path), 0, 0, "it contains no HTTP traffic that can be read", expected, hint)])
    recorder = Recorder(journal, policy=policy, profile=profile, clock=lambda: first.at)
    try:
        for event in chain([first], events):
            _record_event(recorder, event)
        recorded = recorder.recorded
        for line in skipped.lines():
            recorder.leave_out(line)
    finally:
        recorder.close()
    if not recorded:
        hint = "it contains no CometD traffic" + (", and no URL matches" if has_url else "")
        raise FileInvalid([Problem(str(path), 0, 0, "nothing to record", "traffic of a CometD application", hint)])


def _read_groups(
    file: BinaryIO, path: Path, url: re.Pattern[str] | None, skip: SkipReporter
) -> Iterator[TrafficEvents]:
    offset = file.tell()
    start = file.read(_FIRST_BYTES)
    file.seek(offset)

    def is_wanted(address: str) -> bool:
        return url is None or url.search(address) is not None

    if start.lstrip()[:1] == b"{":
        return read_har(file, str(path), is_wanted, skip)
    if re.match(rb"[0-9]+:", start):  # a netstring: every flow is one
        require_extra("record", "importing a flow file")
        from cometreel.traffic.mitmproxy_flows import read_flows  # noqa: PLC0415  # mitmproxy, an optional dependency

        return read_flows(file, str(path), is_wanted, skip)
    found = "neither HAR nor flows" if start else "the file is empty"
    raise FileInvalid([Problem(str(path), 0, 0, found, EXPECTED)])


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
        request = partial(recorder.request, wanted=event.wanted, at=event.at, missing=event.missing)
        request(event.flow, event.method, event.url, event.headers, event.body)
    elif isinstance(event, ReplyReceived):
        reply = partial(recorder.reply, at=event.at, missing=event.missing)
        reply(event.flow, event.status, event.headers, event.body)
    elif isinstance(event, RequestFailed):
        recorder.error(event.flow, event.reason, at=event.at)
    elif isinstance(event, WebSocketOpened):
        opened = partial(recorder.opened, wanted=event.wanted, at=event.at)
        opened(event.flow, event.url, event.headers, event.reply_headers)
    elif isinstance(event, WebSocketMessage):
        recorder.frame(event.flow, event.from_client, event.content, at=event.at)
    else:
        recorder.closed(event.flow, event.code, at=event.at)
