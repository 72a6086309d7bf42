"""What of a request may be shown: values under names that mark a secret are covered up. Knows only names and JSON.

A scenario says what it needs of a request; a password in a login needn't appear in a report of what was asked.
"""

from __future__ import annotations

import re

from cometreel.jsonvalue import JSON

__all__ = ["COVER", "covered", "covered_text"]

COVER = "[hidden]"

_SECRET = re.compile(
    r"passw|passphrase|secret|token|csrf|api[_-]?key|authorization|credential|session_?id|client_?id|saml"
    r"|^(pin|ssid|surl|rnsid|rnurl|rnusername|wwe_code|relaystate|code)$",
    re.IGNORECASE,
)
"""What the names of secrets look like in GWS's logins, SAML and OAuth (RFC 6749 §4.1)."""

_PAIR = re.compile(r"(?P<name>[^&?=\s]+)=(?P<value>[^&\s]*)")


def covered(value: JSON) -> JSON:
    """Return the value with every member whose name marks a secret covered up."""
    if isinstance(value, dict):
        return {name: COVER if _SECRET.search(name) else covered(member) for name, member in value.items()}
    return [covered(item) for item in value] if isinstance(value, list) else value


def covered_text(text: str) -> str:
    """Return a path with its query, or a form, with every value whose name marks a secret covered up."""
    return _PAIR.sub(lambda pair: f"{pair['name']}={COVER}" if _SECRET.search(pair["name"]) else pair[0], text)
