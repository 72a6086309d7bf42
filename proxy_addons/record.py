"""The mitmproxy addon that records a CometD application into a journal, and distils the journal when it stops.

    mitmdump --mode reverse:https://gws.example -s proxy_addons/record.py --set reel_out=recordings/login.jsonl

It only translates mitmproxy's flows into calls of `Recorder`, which redacts each event and has it in the file before
the hook returns, so before the other side sees a byte. The traffic itself is never changed. A body that mitmproxy
streams instead of keeping (`stream_large_bodies`) isn't here to be recorded: the journal says so in its place.
A held poll may be silent for ten minutes; then mitmproxy itself ends it (version 12: when its `tcp_timeout` says).
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mitmproxy import command, ctx, flowfilter, http
from mitmproxy.log import ALERT

from cometreel.errors import CometreelError, InputError, OptionInvalid
from cometreel.http_fields import headers_from_raw
from cometreel.mitmproxy_support.addon_options import PROFILE, REPLAY_OPTIONS, chosen_profile, refuse, unknown_options
from cometreel.mitmproxy_support.flow_translation import raw_field
from cometreel.recording import Policy, Recorder, distill, load_policy, scenario_path, write_scenario
from cometreel.scenario import Profile
from cometreel.wire import Headers

if TYPE_CHECKING:
    from mitmproxy.addonmanager import Loader

__all__ = ["Record", "addons"]

_NO_ASSETS = "!~a"
_OPTIONS = (
    ("reel_out", str, "", "Journal to append to (default: recordings/<time>.jsonl); its scenario lies beside it."),
    ("reel_filter", str, _NO_ASSETS, "What to record besides CometD: a mitmproxy filter. Empty means everything."),
    ("reel_policy", str, "default", "What is redacted, and how: default, strict, or a policy file."),
    PROFILE,
)
_NAMES = frozenset(name for name, *_ in _OPTIONS)
_RECORDED = "reel_recorded"  # in a flow's metadata: its request is in the journal

logger = logging.getLogger(__name__)


class RecordOptions(NamedTuple):
    """The options, checked. No dataclass: mitmproxy runs this file in a module that isn't in `sys.modules`."""

    out: Path
    wants: Callable[[http.HTTPFlow], bool | None]
    policy: Policy
    profile: Profile

    def same_journal(self, other: RecordOptions | None) -> bool:
        """Tell whether a recording under the other choice can simply go on under this one."""
        return other is not None and (self.out, self.policy, self.profile) == (other.out, other.policy, other.profile)


class Record:
    """The addon: one recording from start to stop, or until an option moves it elsewhere."""

    def __init__(self) -> None:
        self.choice: RecordOptions | None = None
        self.recorder: Recorder | None = None
        self._default_out = Path("recordings", time.strftime("%Y-%m-%dT%H-%M-%S.jsonl", time.gmtime()))
        self._running = False
        self.saving: set[asyncio.Future[str]] = set()

    def load(self, loader: Loader) -> None:
        """Add the options; let a server that is down be an answer (502) and an event, not a closed connection."""
        for option in _OPTIONS:
            loader.add_option(*option)
        ctx.options.update(connection_strategy="lazy")

    def configure(self, updated: set[str]) -> None:
        """Check the options; while running, go on under the new ones.

        :raises mitmproxy.exceptions.OptionsError: if one can't be used and mitmproxy runs already.
        """
        if updated.isdisjoint(_NAMES):
            return
        try:
            choice = self._chosen()
            if self._running and not choice.same_journal(self.choice):
                self._begin(choice)
        except InputError as error:
            refuse(error, running=self._running)
        else:
            self.choice = choice

    def running(self) -> None:
        """Open the journal, now that mitmproxy has its port: a start that fails leaves no file behind."""
        self._running = True
        unknown = [*unknown_options(ctx.options.deferred, _NAMES, REPLAY_OPTIONS)]
        for error in unknown:
            refuse(error, running=False)
        if self.choice and not unknown:
            try:
                self._begin(self.choice)
            except InputError as error:
                refuse(error, running=False)

    def done(self) -> None:
        """Close the journal and distil it."""
        recorder, self.recorder = self.recorder, None
        if recorder and self.choice:
            recorder.close()
            missing = f"; {recorder.lost} events couldn't be written" if recorder.lost else ""
            _tell(f"recorded into {recorder.path}{missing}")
            _tell(_distilled(recorder.path, self.choice))

    def request(self, flow: http.HTTPFlow) -> None:
        """Record a request, unless it asks for a WebSocket or was loaded from a file."""
        if flow.live and not _is_upgrade(flow.request):
            self._request(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        """Record a reply, and late the request that a filter wanted only for its reply."""
        if not self.recorder or not flow.response or not flow.live or flow.websocket:
            return
        if not flow.metadata.get(_RECORDED):
            self._request(flow)
        headers, body = _content(flow.response)
        self.recorder.reply(flow.id, flow.response.status_code, headers, body, wanted=self._wants(flow))

    def error(self, flow: http.HTTPFlow) -> None:
        """Record that a request got no reply: the server is down or broke off, or the client went away."""
        if self.recorder and flow.error:
            self.recorder.error(flow.id, flow.error.msg)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Tell the recorder of a WebSocket; its frames show whether it is CometD."""
        if self.recorder and flow.live:
            headers = headers_from_raw(flow.request.headers.fields)
            self.recorder.opened(flow.id, flow.request.url, headers, wanted=self._wants(flow))

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Record one message of a WebSocket."""
        if self.recorder and flow.websocket:
            message = flow.websocket.messages[-1]
            content = message.text if message.is_text else message.content
            self.recorder.frame(flow.id, message.from_client, content)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Record how a WebSocket ended; 1006 is a connection that broke (RFC 6455 §7.4.1)."""
        if self.recorder and flow.websocket:
            self.recorder.closed(flow.id, flow.websocket.close_code or 1006)

    @command.command("reel.mark")  # type: ignore[untyped-decorator]  # mitmproxy leaves it untyped
    def mark(self, *text: str) -> None:
        """Write a mark into the journal, to find a moment again: reel.mark before the transfer."""
        if self.recorder:
            self.recorder.mark(" ".join(text))

    @command.command("reel.save")  # type: ignore[untyped-decorator]  # as above
    def save(self) -> None:
        """Distil what was recorded so far, beside the traffic; the recording goes on."""
        if self.recorder and self.choice:
            work = asyncio.get_running_loop().run_in_executor(None, _distilled, self.recorder.path, self.choice)
            self.saving.add(work)
            work.add_done_callback(self._saved)

    def _saved(self, work: asyncio.Future[str]) -> None:
        self.saving.discard(work)
        logger.log(ALERT, work.result())

    def _begin(self, choice: RecordOptions) -> None:
        recorder = Recorder(
            choice.out, policy=choice.policy, profile=choice.profile, clock=time.time, tell=logger.error
        )
        self.done()
        self.recorder = recorder
        logger.info("recording into %s", recorder.path)

    def _request(self, flow: http.HTTPFlow) -> None:
        if self.recorder:
            headers, body = _content(flow.request)
            flow.metadata[_RECORDED] = self.recorder.request(
                flow.id,
                flow.request.method,
                flow.request.path,
                headers,
                body,
                wanted=self._wants(flow),
                at=flow.request.timestamp_start,
            )

    def _wants(self, flow: http.HTTPFlow) -> bool:
        return bool(self.choice and self.choice.wants(flow))

    def _chosen(self) -> RecordOptions:
        options = ctx.options
        return RecordOptions(
            out=_journal(options.reel_out) if options.reel_out else self._default_out,
            wants=_filter(options.reel_filter),
            policy=load_policy(options.reel_policy),
            profile=chosen_profile(options.reel_profile),
        )


def _journal(text: str) -> Path:
    """Name the journal; a folder gets one with the time in its name."""
    path = Path(text).expanduser()
    if path.suffix in (".yaml", ".yml", ".key"):
        hint = "the scenario beside it gets .yaml, its key .key"
        raise OptionInvalid("reel_out", repr(text), "a journal's name, as recordings/login.jsonl", hint)
    return path / time.strftime("%Y-%m-%dT%H-%M-%S.jsonl", time.gmtime()) if path.is_dir() else path


def _filter(text: str) -> Callable[[http.HTTPFlow], bool | None]:
    if not text:
        return lambda _flow: True
    if text == _NO_ASSETS:
        return _is_no_asset
    try:
        return flowfilter.parse(text)
    except ValueError:
        raise OptionInvalid("reel_filter", repr(text), "a mitmproxy filter expression", "as '~u /api/ & !~a'") from None


def _is_no_asset(flow: http.HTTPFlow) -> bool:
    """Answer as `!~a` does, which as mitmproxy's own filter costs as much as half of recording a call."""
    return not (flow.response and _is_asset(raw_field(flow.response.headers.fields, b"content-type")))


@lru_cache(maxsize=1000)
def _is_asset(content_type: bytes) -> bool:
    return any(asset.search(content_type) for asset in flowfilter.FAsset.ASSET_TYPES)


def _is_upgrade(request: http.Request) -> bool:
    asked: bytes = raw_field(request.headers.fields, b"upgrade")
    return asked.lower() == b"websocket"


def _content(message: http.Message) -> tuple[Headers, bytes | None]:
    """Give header fields and the body without its Content-Encoding; as it came where that can't be undone."""
    fields = message.headers.fields
    if not raw_field(fields, b"content-encoding"):
        return headers_from_raw(fields), message.raw_content
    try:
        body = message.content
    except ValueError:
        return headers_from_raw(fields), message.raw_content
    return headers_from_raw(fields, decoded=True), body


def _distilled(journal: Path, choice: RecordOptions) -> str:
    """Distil a journal into the scenario beside it; give the sentences for the user."""
    try:
        made = distill(journal, profile=choice.profile)
        written = write_scenario(made.file, scenario_path(journal))
    except (CometreelError, OSError) as error:
        return f"no scenario: {error}; the recording is safe, try: cometreel distill {journal}"
    return "\n".join([f"scenario in {written.path}", *made.summary.lines()])


def _tell(text: str) -> None:
    """Log, and print too where no log is left: the console of `mitmproxy` has ended when `done` comes."""
    logger.log(ALERT, text)
    if not ctx.master.addons.get("termlog"):
        sys.stderr.write(f"{text}\n")


addons = [Record()]
