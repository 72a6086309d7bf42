"""Records mitmproxy flows: passes them to a `LiveRecorder` without delaying them, and distills the journal.

Bodies whose length is unknown or large, event streams and everything that is not recorded are forwarded while they
arrive (mitmproxy's `stream`). A copy of a forwarded body is recorded at its end.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from mitmproxy import http

from cometreel.errors import CometreelError
from cometreel.http_fields import RawFields, headers_from_raw
from cometreel.mitmproxy_support.flow_translation import raw_field
from cometreel.mitmproxy_support.record_options import RecordOptions
from cometreel.recording import Recorder, distill, scenario_path, write_scenario
from cometreel.recording.live_recorder import LiveRecorder
from cometreel.recording.streamed_bodies import BodyCopy, decoded, is_event_stream, is_small
from cometreel.wire import Headers

__all__ = ["FlowRecorder"]

_ABNORMAL_CLOSURE = 1006
"""Close code of a broken WebSocket (RFC 6455 §7.4.1)."""

logger = logging.getLogger(__name__)


class FlowRecorder:
    """Writes the flows of one recording to a journal.

    :raises FileInvalid: if the journal can't be written.
    """

    def __init__(self, options: RecordOptions) -> None:
        self.options = options
        self._recorder = Recorder(
            options.journal, policy=options.policy, profile=options.profile, clock=time.time, report=logger.error
        )
        self._live = LiveRecorder(self._recorder, logger.error, _decoded)
        self._open: set[str] = set()
        """The ids of the flows whose request was passed on and that have not ended."""
        logger.info("recording into %s", self.path)

    @property
    def path(self) -> Path:
        """Path of the journal."""
        return self._recorder.path

    def close(self) -> str:
        """Close the journal; return a line for the user."""
        self._live.close()
        self._recorder.close()
        lost = self._recorder.lost
        return f"recorded into {self.path}" + (f"; {lost} events could not be written" if lost else "")

    def distill(self) -> str:
        """Distill the journal and write the scenario next to it; return lines for the user."""
        self._live.wait()
        try:
            distilled = distill(self.path, profile=self.options.profile)
            limit = self.options.inline_limit
            written = write_scenario(distilled, scenario_path(self.path), inline_limit=limit)
        except (CometreelError, OSError) as error:
            return f"no scenario was written: {error}; the journal is kept, try: cometreel distill {self.path}"
        return "\n".join([f"scenario in {written.path}", *distilled.summary.lines(), *written.notes])

    def write_left_out(self) -> None:
        """Write the number of omissions, by reason, into the journal."""
        self._live.write_left_out()

    def mark(self, text: str) -> None:
        """Write a remark into the journal."""
        self._live.mark(text)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Forward a request while it arrives if its length is unknown or large."""
        request, fields = flow.request, flow.request.headers.fields
        if not flow.live or request.stream or flow.response or _is_upgrade(flow) or _is_small(fields):
            return
        if not request.is_http11 or raw_field(fields, b"content-length") or raw_field(fields, b"transfer-encoding"):
            request.stream = BodyCopy()

    def request(self, flow: http.HTTPFlow) -> None:
        """Record a request, unless it is an upgrade or was loaded from a file."""
        if flow.live and not _is_upgrade(flow) and flow.id not in self._open:
            self._record_request(flow, wanted=self._is_wanted(flow))

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Forward a response while it arrives if it is not recorded, or if its length is unknown or large."""
        response = flow.response
        if not response or not flow.live or response.status_code == 101:
            return
        wanted, fields = self._is_wanted(flow), response.headers.fields
        if flow.id not in self._open:  # a rejected upgrade, or a response before the end of the request
            self._record_request(flow, wanted=wanted)
        if is_event_stream(raw_field(fields, b"content-type").decode("latin-1")):
            response.stream = response.stream or True
            self._open.discard(flow.id)
            self._record_request(flow, wanted=wanted, ended=True)
            self._live.stream(flow.id)
        elif response.stream:  # chosen by the user
            return
        elif not wanted and not self.options.filter_reads_bodies and not self._live.needs_body(flow.id):
            response.stream = True
        elif not _is_small(fields):
            response.stream = BodyCopy()

    def response(self, flow: http.HTTPFlow) -> None:
        """Record a response; also the request, if the filter matches only now."""
        if flow.id not in self._open:
            return
        self._open.discard(flow.id)
        if not flow.response or not flow.live or flow.websocket:
            return
        body, missing = _body(flow.response)
        wanted = self._is_wanted(flow)
        self._record_request(flow, wanted=wanted, ended=True)
        fields = flow.response.headers.fields
        self._live.reply(flow.id, flow.response.status_code, fields, body, missing=missing, wanted=wanted)

    def error(self, flow: http.HTTPFlow) -> None:
        """Record that a request failed."""
        if flow.error and flow.id in self._open:
            self._open.discard(flow.id)
            self._live.error(flow.id, flow.error.msg)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Record a WebSocket; its messages show if it is CometD."""
        if flow.live:
            headers = headers_from_raw(flow.request.headers.fields)
            reply_headers = headers_from_raw(flow.response.headers.fields if flow.response else ())
            self._live.opened(flow.id, flow.request.url, headers, reply_headers, wanted=self._is_wanted(flow))

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Record the latest message of a WebSocket."""
        if flow.websocket:
            message = flow.websocket.messages[-1]
            content = message.content.decode("utf-8", "replace") if message.is_text else message.content
            self._live.frame(flow.id, message.from_client, content)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Record the end of a WebSocket."""
        if flow.websocket:
            self._live.closed(flow.id, flow.websocket.close_code or _ABNORMAL_CLOSURE)

    def _record_request(self, flow: http.HTTPFlow, *, wanted: bool, ended: bool = False) -> None:
        if not ended:
            self._open.add(flow.id)
        elif flow.request.raw_content is not None and self._live.is_recorded(flow.id):
            return  # mitmproxy composes the URL again each time
        body, missing = _body(flow.request)
        url = flow.request.url if flow.request.path.startswith("/") else flow.request.path
        head = (flow.request.method, url)
        fields, started = flow.request.headers.fields, flow.request.timestamp_start
        self._live.request(flow.id, head, fields, body, missing=missing, wanted=wanted, at=started)

    def _is_wanted(self, flow: http.HTTPFlow) -> bool:
        return bool(self.options.is_wanted(flow))


def _body(message: http.Message) -> tuple[bytes | None, str]:
    """Return the body as it was sent, or why it is missing; a copy of a forwarded body is also added to the flow."""
    if message.raw_content is None and isinstance(message.stream, BodyCopy):
        message.raw_content = message.stream.body
        return message.raw_content, message.stream.missing
    return message.raw_content, ""


def _decoded(fields: RawFields, body: bytes | None) -> tuple[Headers, bytes | None, str]:
    try:
        return decoded(fields, body)
    except ModuleNotFoundError:  # zstd: mitmproxy 12 has another library than mitmproxy 11
        message = http.Response(b"HTTP/1.1", 200, b"", http.Headers(fields), body, None, 0, 0)
    try:
        return headers_from_raw(fields, decoded=True), message.content, ""
    except ValueError:
        return headers_from_raw(fields), None, "not encoded as its Content-Encoding states"


def _is_upgrade(flow: http.HTTPFlow) -> bool:
    return raw_field(flow.request.headers.fields, b"upgrade").lower() == b"websocket"


def _is_small(fields: RawFields) -> bool:
    return is_small(raw_field(fields, b"content-length").decode("latin-1"))
