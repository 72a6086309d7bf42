"""mitmproxy addon that records a CometD application into a journal, and distills the journal when mitmproxy exits.

    mitmdump --mode reverse:https://gws.example -s proxy_addons/record.py --set reel_out=recordings/login.jsonl

Each event is redacted and written to the journal before the hook returns, so before the client has the whole reply. The
traffic is never changed or delayed: event streams, bodies of unknown length or of more than 64 kB, and everything that
is not recorded are forwarded while they arrive, and large bodies are redacted on a thread. The journal contains a note
in place of event streams, of bodies over 16 MB, and of bodies that another addon streams (`stream_large_bodies`).
mitmproxy ends a held poll after ten minutes without data; in version 12, the option `tcp_timeout` sets this time.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

from mitmproxy import command, ctx, http
from mitmproxy.log import ALERT

from cometreel.errors import InputError
from cometreel.mitmproxy_support.addon_options import refuse
from cometreel.mitmproxy_support.flow_recorder import FlowRecorder
from cometreel.mitmproxy_support.record_options import (
    OPTIONS,
    RecordOptions,
    add_options,
    default_journal,
    read_options,
    unknown_options,
)

if TYPE_CHECKING:
    from mitmproxy.addonmanager import Loader

__all__ = ["Record", "addons"]

logger = logging.getLogger(__name__)


class Record:
    """Records from the start of mitmproxy until its end, or until an option names another journal."""

    def __init__(self) -> None:
        self.options: RecordOptions | None = None
        self.recorder: FlowRecorder | None = None
        self.saving: set[asyncio.Future[str]] = set()
        self._default_journal = default_journal()
        self._running = False

    def load(self, loader: Loader) -> None:
        """Add the options. Lazy connections turn a server that is down into an event and a 502 reply."""
        add_options(loader)
        ctx.options.update(connection_strategy="lazy")

    def configure(self, updated: set[str]) -> None:
        """Check the options; use them at once if mitmproxy is running.

        :raises mitmproxy.exceptions.OptionsError: if an option is invalid and mitmproxy is running.
        """
        if updated.isdisjoint(OPTIONS):
            return
        try:
            options = read_options(ctx.options, self._default_journal)
            if self._running:
                self._record_with(options)
        except InputError as error:
            refuse(error, running=self._running)
        else:
            self.options = options

    def running(self) -> None:
        """Open the journal. A failed start of mitmproxy leaves no file."""
        self._running = True
        unknown = [*unknown_options(ctx.options.deferred)]
        for error in unknown:
            refuse(error, running=False)
        if self.options and not unknown:
            try:
                self._record_with(self.options)
            except InputError as error:
                refuse(error, running=False)

    def done(self) -> None:
        """Close the journal and distill it."""
        recorder, self.recorder = self.recorder, None
        if recorder:
            _alert(recorder.close())
            _alert(recorder.distill())

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Choose whether a request is forwarded while it arrives."""
        if self.recorder:
            self.recorder.requestheaders(flow)

    def request(self, flow: http.HTTPFlow) -> None:
        """Record a request."""
        if self.recorder:
            self.recorder.request(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Choose whether a response is forwarded while it arrives."""
        if self.recorder:
            self.recorder.responseheaders(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        """Record a response."""
        if self.recorder:
            self.recorder.response(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Record that a request failed."""
        if self.recorder:
            self.recorder.error(flow)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Record a WebSocket."""
        if self.recorder:
            self.recorder.websocket_start(flow)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Record a message of a WebSocket."""
        if self.recorder:
            self.recorder.websocket_message(flow)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Record the end of a WebSocket."""
        if self.recorder:
            self.recorder.websocket_end(flow)

    @command.command("reel.mark")  # type: ignore[untyped-decorator]  # mitmproxy leaves it untyped
    def mark(self, *text: str) -> None:
        """Write a remark into the journal, for example: reel.mark before the transfer."""
        if self.recorder:
            self.recorder.mark(" ".join(text))

    @command.command("reel.save")  # type: ignore[untyped-decorator]  # as above
    def save(self) -> None:
        """Create a scenario from the recording so far. The recording continues."""
        if self.recorder:
            self.recorder.write_left_out()
            saving = asyncio.get_running_loop().run_in_executor(None, self.recorder.distill)
            self.saving.add(saving)
            saving.add_done_callback(self._saved)

    def _saved(self, saving: asyncio.Future[str]) -> None:
        self.saving.discard(saving)
        logger.log(ALERT, saving.result())

    def _record_with(self, options: RecordOptions) -> None:
        if self.recorder and self.recorder.options.same_journal(options):
            self.recorder.options = options
            return
        recorder = FlowRecorder(options)
        self.done()
        self.recorder = recorder


def _alert(text: str) -> None:
    """Log a text; also print it if mitmproxy doesn't log to the terminal, because its console is closed already."""
    logger.log(ALERT, text)
    if not ctx.master.addons.get("termlog"):
        sys.stderr.write(f"{text}\n")


addons = [Record()]
