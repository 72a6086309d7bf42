"""Records mitmproxy flows: passes them to a `Recorder`, and distills the journal."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from mitmproxy import http

from cometreel.errors import CometreelError
from cometreel.http_fields import headers_from_raw
from cometreel.mitmproxy_support.flow_translation import raw_field
from cometreel.mitmproxy_support.record_options import RecordOptions
from cometreel.recording import Recorder, distill, scenario_path, write_scenario
from cometreel.wire import Headers

__all__ = ["FlowRecorder"]

_RECORDED = "reel_recorded"
"""Key in the metadata of a flow whose request is in the journal."""

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
        logger.info("recording into %s", self.path)

    @property
    def path(self) -> Path:
        """Path of the journal."""
        return self._recorder.path

    def close(self) -> str:
        """Close the journal; return a line for the user."""
        self._recorder.close()
        lost = self._recorder.lost
        return f"recorded into {self.path}" + (f"; {lost} events could not be written" if lost else "")

    def distill(self) -> str:
        """Distill the journal and write the scenario next to it; return lines for the user."""
        try:
            distilled = distill(self.path, profile=self.options.profile)
            limit = self.options.inline_limit
            written = write_scenario(distilled.file, scenario_path(self.path), inline_limit=limit)
        except (CometreelError, OSError) as error:
            return f"no scenario was written: {error}; the journal is kept, try: cometreel distill {self.path}"
        return "\n".join([f"scenario in {written.path}", *distilled.summary.lines()])

    def mark(self, text: str) -> None:
        """Write a remark into the journal."""
        self._recorder.mark(text)

    def request(self, flow: http.HTTPFlow) -> None:
        """Record a request, unless it is an upgrade or was loaded from a file."""
        if flow.live and raw_field(flow.request.headers.fields, b"upgrade").lower() != b"websocket":
            self._record_request(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        """Record a response; also the request, if the filter matches only now."""
        if not flow.response or not flow.live or flow.websocket:
            return
        if not flow.metadata.get(_RECORDED):
            self._record_request(flow)
        headers, body = _content(flow.response)
        self._recorder.reply(flow.id, flow.response.status_code, headers, body, wanted=self._is_wanted(flow))

    def error(self, flow: http.HTTPFlow) -> None:
        """Record that a request failed."""
        if flow.error:
            self._recorder.error(flow.id, flow.error.msg)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Record a WebSocket; its messages show if it is CometD."""
        if flow.live:
            headers = headers_from_raw(flow.request.headers.fields)
            self._recorder.opened(flow.id, flow.request.url, headers, wanted=self._is_wanted(flow))

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Record the latest message of a WebSocket."""
        if flow.websocket:
            message = flow.websocket.messages[-1]
            content = message.text if message.is_text else message.content
            self._recorder.frame(flow.id, message.from_client, content)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Record the end of a WebSocket."""
        if flow.websocket:
            self._recorder.closed(flow.id, flow.websocket.close_code or _ABNORMAL_CLOSURE)

    def _record_request(self, flow: http.HTTPFlow) -> None:
        headers, body = _content(flow.request)
        flow.metadata[_RECORDED] = self._recorder.request(
            flow.id,
            flow.request.method,
            flow.request.url if flow.request.path.startswith("/") else flow.request.path,
            headers,
            body,
            wanted=self._is_wanted(flow),
            at=flow.request.timestamp_start,
        )

    def _is_wanted(self, flow: http.HTTPFlow) -> bool:
        return bool(self.options.is_wanted(flow))


def _content(message: http.Message) -> tuple[Headers, bytes | None]:
    """Return header fields and the decoded body, or both unchanged if the body can't be decoded."""
    fields = message.headers.fields
    if not raw_field(fields, b"content-encoding"):
        return headers_from_raw(fields), message.raw_content
    try:
        body = message.content
    except ValueError:
        return headers_from_raw(fields), message.raw_content
    return headers_from_raw(fields, decoded=True), body
