"""A content view for Bayeux (CometD): messages, channels, and which POST a notification answers.

    mitmweb --mode reverse:https://gws.example -s proxy_addons/bayeux_view.py

Works alone or beside `record.py`, in mitmweb, mitmproxy and `mitmdump --flow-detail 3`, on mitmproxy 11 (a view is
called) and 12 (`prettify`). What answers what is the correlation profile's business; nothing here is written down.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast
from urllib.parse import parse_qs

from mitmproxy import contentviews, ctx, http

from cometreel.bayeux import MalformedMessages, Message, looks_like_bayeux, parse_messages
from cometreel.errors import InputError
from cometreel.jsonvalue import JSON
from cometreel.mitmproxy_support.addon_options import PROFILE, chosen_profile, refuse
from cometreel.mitmproxy_support.promised_notifications import PromisedNotifications, marks_of
from cometreel.scenario import Profile

if TYPE_CHECKING:
    from mitmproxy.addonmanager import Loader
    from mitmproxy.flow import Flow
    from mitmproxy.websocket import WebSocketMessage

__all__ = ["BayeuxContentView", "BayeuxView", "addons", "messages_in"]

_JSONP = re.compile(rb"\s*(?:/\*\*/)?\s*[\w$.\[\]]+\s*\((.*)\)\s*;?\s*", re.DOTALL)
_PLAIN = re.compile(r"(?!(?:true|false|null)$)/?[A-Za-z_][\w/*.-]*")  # what YAML 1.2 reads as a text without quotes
_WIDTH = 100  # columns; a longer value is spread over lines


class Named(Protocol):
    """What is needed of the other views: they are put in the order of their names."""

    name: str


Registering: TypeAlias = "Callable[[object], None]"
"""`contentviews.add` and `remove`: mitmproxy 11 and 12 give a view another type."""


class BayeuxContentView:
    """Show Bayeux messages as YAML that reads like a scenario; a view of mitmproxy 11 and of 12 in one."""

    name = "Bayeux"
    syntax_highlight = "yaml"

    def __init__(self, answers: PromisedNotifications) -> None:
        self.answers = answers

    def __lt__(self, other: Named) -> bool:
        return self.name < other.name

    def prettify(self, data: bytes, metadata: object) -> str:
        """Show messages, or any other data as it is: the way of mitmproxy 12."""
        return self._text(data, getattr(metadata, "flow", None), getattr(metadata, "websocket_message", None))

    def __call__(
        self,
        data: bytes,
        *,
        flow: Flow | None = None,
        websocket_message: WebSocketMessage | None = None,
        **_: object,
    ) -> tuple[str, Iterator[list[tuple[str, str]]]]:
        """Show messages, or any other data as it is: the way of mitmproxy 11."""
        text = self._text(data, flow, websocket_message)
        return self.name, ([("text", line)] for line in text.split("\n"))

    def render_priority(self, data: bytes, metadata: object = None, **_: object) -> float:
        """Come before the view for JSON, where the shape is Bayeux's; below every other view elsewhere."""
        return 2 if messages_in(data) else -1

    def _text(self, data: bytes, flow: Flow | None, frame: WebSocketMessage | None) -> str:
        messages = messages_in(data)
        if not messages:
            return data.decode(errors="backslashreplace")
        marks, at = (marks_of(flow), _moment(flow, frame)) if isinstance(flow, http.HTTPFlow) else (frozenset(), 0.0)
        text = "\n".join(_shown(message, self.answers.answered_by(message, marks, at)) for message in messages)
        return text.encode(errors="backslashreplace").decode()  # half of a surrogate pair can't be printed


def messages_in(data: bytes) -> list[Message]:
    """Find the Bayeux messages of a body or frame: JSON, JSONP (callback-polling) or a form; else none."""
    if jsonp := _JSONP.fullmatch(data):
        data = jsonp[1]
    elif data.startswith(b"message="):
        data = parse_qs(data).get(b"message", [b""])[0]
    try:
        messages = parse_messages(data)
    except MalformedMessages:
        return []
    return messages if looks_like_bayeux(cast("JSON", messages)) else []


def _shown(message: Message, answered: str | None) -> str:
    rest = {key: value for key, value in message.items() if key != "channel"}
    note = f"  # answers {answered}" if answered else ""
    lines = [f"- channel: {_scalar(message['channel'])}{note}"]
    lines += [f"  {_scalar(key)}: {_value(value)}" for key, value in rest.items()]
    return "\n".join(lines)


def _scalar(value: JSON) -> str:
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _value(value: JSON) -> str:
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= _WIDTH else json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n  ")


def _moment(flow: http.HTTPFlow, frame: WebSocketMessage | None) -> float:
    if frame:
        return frame.timestamp
    return (flow.response and flow.response.timestamp_end) or flow.request.timestamp_start


class BayeuxView:
    """The addon: adds the view, and watches the replies that promise notifications."""

    def __init__(self) -> None:
        self.view = BayeuxContentView(PromisedNotifications(Profile("none")))
        self._running = False

    def load(self, loader: Loader) -> None:
        """Add the option and the view."""
        loader.add_option(*PROFILE)
        cast(Registering, contentviews.add)(self.view)

    def configure(self, updated: set[str]) -> None:
        """Take another profile; what was remembered under the old one is forgotten.

        :raises mitmproxy.exceptions.OptionsError: if there is no such profile.
        """
        if "reel_profile" in updated:
            try:
                self.view.answers = PromisedNotifications(chosen_profile(ctx.options.reel_profile))
            except InputError as error:
                refuse(error, running=self._running)

    def running(self) -> None:
        """From here on, a refused option keeps its old value."""
        self._running = True

    def response(self, flow: http.HTTPFlow) -> None:
        """Remember what a reply promised."""
        self.view.answers.remember(flow)

    def done(self) -> None:
        """Take the view away again; mitmproxy 12 replaces it by itself."""
        if not hasattr(contentviews, "registry"):
            cast(Registering, contentviews.remove)(self.view)


addons = [BayeuxView()]
