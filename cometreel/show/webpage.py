"""The page: one HTML file that holds its style, its program and the conversation, and needs nothing else.

Whatever was recorded is hostile until shown otherwise: it is embedded as JSON in which no `<` is left, the program
makes text of it and never markup, and the policy of the page forbids every script and style but its own two.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files

from cometreel.jsonvalue import JSONObject
from cometreel.show.comparison import Comparison
from cometreel.show.conversation import Conversation
from cometreel.show.payload import payload_of, payload_of_both

__all__ = ["FIRST_LINE", "page"]

FIRST_LINE = "<!doctype html><!-- drawn by cometreel show -->"
"""How a page begins, so that it is told from any other file before it is drawn anew."""

# One scope for all; what runs at once stands in main.js, which comes last.
_SCRIPTS = (
    "text.js",
    "elements.js",
    "model.js",
    "filters.js",
    "layout.js",
    "drawing.js",
    "timeline.js",
    "choosing.js",
    "hands.js",
    "overview.js",
    "details.js",
    "latencies.js",
    "main.js",
)
_STYLES = ("colours.css", "page.css", "timeline.css")
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def page(shown: Conversation | Comparison) -> str:
    """Draw one conversation, or two over one another."""
    payload = payload_of_both(shown) if isinstance(shown, Comparison) else payload_of(shown)
    script = '"use strict";\n(() => {\n' + "\n".join(map(_part, _SCRIPTS)) + "\n})();\n"
    style = "\n".join(map(_part, _STYLES))
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    text = _part("page.html")
    for place, part in (
        ("@FIRST_LINE@", FIRST_LINE),
        ("@POLICY@", policy),
        ("/*@STYLE@*/", style),
        ("/*@SCRIPT@*/", script),
        ("@CONVERSATION@", _embedded(payload)),  # the last: what is in it must not be looked at for places
    ):
        text = text.replace(place, part, 1)
    return text


def _part(name: str) -> str:
    return (files(__package__) / "page" / name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _embedded(payload: JSONObject) -> str:
    """JSON that can stand inside a script element: ASCII only, so U+2028 and lone surrogates are escapes too."""
    return json.dumps(payload, ensure_ascii=True, separators=(",", ":")).translate(_ESCAPES)
