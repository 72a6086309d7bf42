"""Parses Bayeux messages, and distinguishes them from other JSON.

The server, the client, the recorder and the replay engine use it.
"""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import parse_qs

from cometreel.errors import PeerError
from cometreel.jsonvalue import JSON, JSONObject, NotJSON, decode

__all__ = [
    "MalformedMessages",
    "Message",
    "NoMessages",
    "NullMessage",
    "form_messages",
    "looks_like_bayeux",
    "parse_messages",
]

Message: TypeAlias = JSONObject

_OWN_FIELDS = frozenset({"clientId", "successful", "subscription", "connectionType", "supportedConnectionTypes"})


class MalformedMessages(PeerError):
    """A body that isn't Bayeux messages: not JSON, or not an object or an array of objects."""


class NoMessages(MalformedMessages):
    """A body that is empty, blank or `null`; real servers find no messages in it, and no error either."""


class NullMessage(MalformedMessages):
    """An array that contains `null`; real servers answer it with an internal error."""


def parse_messages(body: bytes | str, *, form: bool = False) -> list[Message]:
    """Parse the messages of one request, reply or frame: an array of objects, or a single object.

    With `form` they may also be in the fields `message` of a URL-encoded form. Faye's cross-origin transport sends one,
    with the Content-Type text/plain or none; Dojo's clients send one as application/x-www-form-urlencoded.

    :raises NoMessages: if the text is empty, blank or `null`.
    :raises MalformedMessages: if the text is anything else.
    """
    if not body.strip():
        raise NoMessages("the body is empty; expected Bayeux messages")
    if form and body.lstrip()[:1] not in (b"[", b"{", "[", "{"):
        return [message for text in form_messages(body) for message in parse_messages(text)]
    try:
        value = decode(body)
    except NotJSON as error:
        raise MalformedMessages(f"the body isn't JSON: {error}") from None
    if isinstance(value, dict):
        return [value]
    if value is None:
        raise NoMessages("found null; expected a Bayeux message or an array of them")
    if not isinstance(value, list):
        raise MalformedMessages(f"found {_kind(value)}; expected a Bayeux message or an array of them")
    return [_message(element, number) for number, element in enumerate(value)]


def form_messages(body: bytes | str) -> list[str]:
    """Return the fields `message` of a URL-encoded form.

    :raises MalformedMessages: if it has none.
    """
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    texts = parse_qs(text, keep_blank_values=True).get("message", [])
    if not texts:
        raise MalformedMessages("found neither JSON nor a form with the field message; expected Bayeux messages")
    return texts


def _message(element: JSON, number: int) -> Message:
    if element is None:
        raise NullMessage(f"element {number} is null; expected a Bayeux message")
    if not isinstance(element, dict):
        raise MalformedMessages(f"element {number} is {_kind(element)}; expected a Bayeux message")
    return element


def _kind(value: JSON) -> str:
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    return "a number"


def looks_like_bayeux(value: JSON) -> bool:
    """True if a JSON value has the shape of Bayeux messages.

    That is an object or a non-empty array of objects, each with a `channel` that begins with a slash, of which at least
    one has a `/meta/…` channel or another field that only Bayeux has.
    """
    messages = [value] if isinstance(value, dict) else value
    if not isinstance(messages, list):
        return False
    if not all(isinstance(message, dict) and _has_channel(message) for message in messages):
        return False
    return any(isinstance(message, dict) and _is_sure(message) for message in messages)


def _has_channel(message: Message) -> bool:
    channel = message.get("channel")
    return isinstance(channel, str) and channel.startswith("/")


def _is_sure(message: Message) -> bool:
    return str(message["channel"]).startswith("/meta/") or not _OWN_FIELDS.isdisjoint(message)
