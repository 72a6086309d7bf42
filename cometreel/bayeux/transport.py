"""Bayeux over HTTP: the transport of a request, and its messages.

Replies are framed in `reply_channels`.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs

from cometreel.bayeux.dialects import dialect
from cometreel.bayeux.messages import MalformedMessages, Message, NoMessages, NullMessage, parse_messages
from cometreel.bayeux.settings import BayeuxSettings, TransportName
from cometreel.value_copies import copy_by_constructor
from cometreel.wire import Headers, Reply, Request

__all__ = ["Polling", "is_endpoint", "read_polling"]

_LONGEST_URI: Final = 1000  # characters that the page of an error shows
_CALLBACK: Final = re.compile(r"[a-zA-Z0-9._\-]{1,64}")
"""The valid names of a JSONP callback, which can't be a script (CometD 3.1)."""


@dataclass(slots=True)
class Polling:
    """The messages of one HTTP request, and its JSONP callback."""

    transport: TransportName
    messages: list[Message]
    callback: str | None = None


@lru_cache(maxsize=1024)
def is_endpoint(path: str, endpoint: str) -> bool:
    """True if a path is the endpoint or below it: clients append `/connect`, `/handshake` and the like.

    The first `len(endpoint) + 1` characters of a path are enough; a longer one fills the cache.
    """
    path, base = path.partition(";")[0], endpoint.rstrip("/")
    return path == base or path.startswith(base + "/")


def read_polling(request: Request, settings: BayeuxSettings) -> Polling | Reply:
    """Read the messages of an HTTP request, or return the reply that refuses it."""
    if request.method == "OPTIONS":
        return Reply(request.id, 200)
    if request.method == "POST" and "long-polling" in settings.transports:
        if len(request.body) > settings.max_message_bytes:
            return Reply(request.id, 413)
        return _parsed(request, "long-polling", [request.body], None, settings)
    if request.method == "GET" and "callback-polling" in settings.transports:
        query = parse_qs(request.query, keep_blank_values=True)
        callback = query.get("jsonp", [""])[0]
        if _CALLBACK.fullmatch(callback):
            return _parsed(request, "callback-polling", query.get("message", []), callback, settings)
    return _unknown_transport(request)


def _parsed(
    request: Request,
    transport: TransportName,
    texts: list[bytes] | list[str],
    callback: str | None,
    settings: BayeuxSettings,
) -> Polling | Reply:
    form = settings.form and transport == "long-polling"
    messages: list[Message] = []
    try:
        for text in texts:
            try:
                messages += parse_messages(text, form=form)
            except NoMessages:
                if len(texts) == 1:
                    return _no_messages(request, transport, settings)
    except NullMessage:
        return Reply(request.id, 500)
    except MalformedMessages:
        return Reply(request.id, 400)
    if not messages:
        return Reply(request.id, 500)
    return Polling(transport, messages, callback)


def _no_messages(request: Request, transport: TransportName, settings: BayeuxSettings) -> Reply:
    """Reply to a request without messages as the server of the dialect does, with an empty body."""
    blank = transport == "long-polling" and not request.body.strip()
    return Reply(request.id, dialect(settings.dialect).blank_body_status if blank else 200)


def _unknown_transport(request: Request) -> Reply:
    """Reply as CometD's servlet in Jetty does, with a page for GET and HEAD only."""
    if request.method not in {"GET", "HEAD"}:
        return Reply(request.id, 400)
    rows = {
        "URI": html.escape(request.path[:_LONGEST_URI]),
        "STATUS": "400",
        "MESSAGE": "Unknown Bayeux Transport",
        "SERVLET": "org.cometd.server.CometDServlet",
    }
    table = "\n".join(f"<tr><th>{name}:</th><td>{value}</td></tr>" for name, value in rows.items())
    page = (
        "<html>\n<head><title>Error 400 Unknown Bayeux Transport</title></head>\n"
        f"<body><h2>HTTP ERROR 400 Unknown Bayeux Transport</h2>\n<table>\n{table}\n</table>\n</body>\n</html>\n"
    )
    fields = (
        ("Cache-Control", "must-revalidate,no-cache,no-store"),
        ("Content-Type", "text/html;charset=iso-8859-1"),
    )
    return Reply(request.id, 400, Headers(fields), page.encode("iso-8859-1", "xmlcharrefreplace"))


copy_by_constructor(__name__)
