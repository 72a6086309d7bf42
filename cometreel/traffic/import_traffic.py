"""One import: a file of traffic is told to a recorder, into a journal, of which a scenario is distilled.

Which format a file has is seen by its first bytes. mitmproxy is loaded only for a flow file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from cometreel.errors import FileInvalid, Problem
from cometreel.extras import require_extra
from cometreel.recording import Distilled, Policy, Recorder, distill
from cometreel.scenario import Profile
from cometreel.traffic.har_files import read_har
from cometreel.traffic.traffic_events import (
    ReplyReceived,
    RequestFailed,
    RequestSent,
    TrafficEvent,
    TrafficEvents,
    WebSocketMessage,
    WebSocketOpened,
    in_order,
)

__all__ = ["import_traffic"]

_EXPECTED = "a HAR file, or a flow file of mitmproxy"
_FIRST_BYTES = 1024
_LONGEST_SECONDS = 30 * 86400
_MARK = b"\xef\xbb\xbf"


def import_traffic(
    path: Path,
    journal: Path,
    *,
    policy: Policy,
    profile: Profile,
    url: re.Pattern[str] | None = None,
    generalise: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Distilled:
    """Record the traffic in a file into a new journal, and distil it; the file itself isn't touched.

    `url` is searched in the URLs of calls: those in which it is found are kept besides CometD, without it all but
    what pages are made of. Times are the file's own. `progress` is told how many bytes of the file have been read.

    :raises FileInvalid: if the file can't be read, is neither HAR nor a flow file, is broken or holds nothing to keep;
        or a journal is there already. No journal is left behind then.
    """
    if journal.exists():
        raise FileInvalid([Problem(str(journal), 0, 0, "it is there already", "no file", "choose another name")])
    try:
        with _reading(path) as file:
            _record(file, path, journal, policy, profile, url, progress or (lambda _: None))
        return distill(journal, profile=profile, generalise=generalise)
    except BaseException:
        for left in (journal, journal.with_suffix(".key")):
            left.unlink(missing_ok=True)
        raise


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
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
    profile: Profile,
    url: re.Pattern[str] | None,
    progress: Callable[[int], None],
) -> None:
    steps = in_order(_told(_stories(file, path, url), file, progress))
    first = next(steps, None)
    if first is None:
        raise FileInvalid([Problem(str(path), 0, 0, "no HTTP in it", "traffic of a CometD application")])
    recorder = Recorder(journal, policy=policy, profile=profile, clock=lambda: first.at)
    try:
        for step in chain([first], steps):
            if not abs(step.at - first.at) <= _LONGEST_SECONDS:
                found = f"its times lie more than {_LONGEST_SECONDS // 86400} days apart"
                raise FileInvalid([Problem(str(path), 0, 0, found, "the traffic of one recording")])
            _tell(recorder, step)
    finally:
        recorder.close()
    if not recorder.recorded:
        hint = "nothing in it is CometD" + (", and no URL matches" if url else "")
        raise FileInvalid([Problem(str(path), 0, 0, "nothing to record", "traffic of a CometD application", hint)])


def _stories(file: BinaryIO, path: Path, url: re.Pattern[str] | None) -> Iterator[TrafficEvents]:
    start = file.read(_FIRST_BYTES)
    mark = len(_MARK) if start.startswith(_MARK) else 0
    file.seek(mark)

    def wants(address: str) -> bool:
        return url is None or url.search(address) is not None

    if start[mark:].lstrip()[:1] == b"{":
        return read_har(file, str(path), wants)
    if re.match(rb"[0-9]+:", start):  # a netstring, as all flows are
        require_extra("record", "importing a flow file")
        from cometreel.traffic.mitmproxy_flows import read_flows  # noqa: PLC0415  # mitmproxy takes a second to load

        return read_flows(file, str(path), wants)
    found = "neither HAR nor flows" if start else "the file is empty"
    raise FileInvalid([Problem(str(path), 0, 0, found, _EXPECTED)])


def _told(stories: Iterator[TrafficEvents], file: BinaryIO, progress: Callable[[int], None]) -> Iterator[TrafficEvents]:
    furthest = 0
    for story in stories:
        furthest = max(furthest, file.tell())
        progress(furthest)
        yield story


def _tell(recorder: Recorder, step: TrafficEvent) -> None:
    """Make one step the call that a proxy would have made."""
    if isinstance(step, RequestSent):
        recorder.request(step.flow, step.method, step.url, step.headers, step.body, wanted=step.wanted, at=step.at)
    elif isinstance(step, ReplyReceived):
        recorder.reply(step.flow, step.status, step.headers, step.body, at=step.at)
    elif isinstance(step, RequestFailed):
        recorder.error(step.flow, step.why, at=step.at)
    elif isinstance(step, WebSocketOpened):
        recorder.opened(step.flow, step.url, step.headers, wanted=step.wanted, at=step.at)
    elif isinstance(step, WebSocketMessage):
        recorder.frame(step.flow, step.from_client, step.content, at=step.at)
    else:
        recorder.closed(step.flow, step.code, at=step.at)
