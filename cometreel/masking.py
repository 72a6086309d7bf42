"""What of a request may be shown: values under names that mark a secret are covered up. Knows only names and JSON.

A scenario says what it needs of a request; a password in a login needn't appear in a report of what was asked.
"""

from __future__ import annotations

import re

from cometreel.jsonvalue import JSON

__all__ = ["HIDDEN", "masked", "masked_at", "masked_text", "is_secret"]

HIDDEN = "[hidden]"

_SECRET = re.compile(
    r"passw|passphrase|secret|token|csrf|api[_-]?key|authorization|credential|session_?id|client_?id|saml"
    r"|^(pin|ssid|surl|rnsid|rnurl|rnusername|wwe_code|relaystate|code)$",
    re.IGNORECASE,
)
"""What the names of secrets look like in GWS's logins, SAML and OAuth (RFC 6749 §4.1)."""

_PAIR = re.compile(
    r"""(?P<before>(?:^|(?<=[&?\s]))(?P<name>[^&?=\s"]{1,100})=)[^&\s]*"""  # of a query or a form
    r"""|(?P<opening>"(?P<key>[^"\\]{1,100})"\s{0,9}:\s{0,9}")[^"]*"""  # of JSON, as far as it goes
    r"""|(?P<flow>(?<=[{,\s])(?P<word>[^&?=\s"':,{}]{1,100}):\s)[^,}]*"""  # of YAML, as differences are told
)


def is_secret(name: str) -> bool:
    """Tell whether a name marks its value as a secret."""
    return _SECRET.search(name) is not None


def masked(value: JSON) -> JSON:
    """Return the value with every member whose name marks a secret covered up."""
    if isinstance(value, dict):
        return {name: HIDDEN if is_secret(name) else masked(member) for name, member in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def masked_at(pointer: str, text: str) -> str:
    """Return the text of a value that stands at this JSON Pointer, covered up where it or a part of it is secret."""
    return HIDDEN if is_secret(pointer.rpartition("/")[2]) else masked_text(text)


def masked_text(text: str) -> str:
    """Return a path with its query, a form, or what isn't quite JSON, with values covered up in the same way."""
    return _PAIR.sub(_masked_pair, text)


def _masked_pair(pair: re.Match[str]) -> str:
    name = pair["name"] or pair["key"] or pair["word"]
    kept = pair["before"] or pair["opening"] or pair["flow"]
    return f"{kept}{HIDDEN}" if is_secret(name) else pair[0]
