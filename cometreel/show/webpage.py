"""Renders the page: one HTML file that contains its style, its script and the conversation, and works offline.

Recorded data is untrusted: it is embedded as JSON without `<`, the script inserts it as text and never as markup, and
the content security policy allows only the script and style of the page.
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
"""The first line of a page, which identifies it before it is overwritten."""

# All scripts share one scope; main.js starts the page and comes last.
_SCRIPTS = (
    "text.js",
    "elements.js",
    "model.js",
    "filters.js",
    "layout.js",
    "drawing.js",
    "timeline.js",
    "selection.js",
    "pointer.js",
    "overview.js",
    "details.js",
    "latencies.js",
    "main.js",
)
_STYLES = ("colours.css", "page.css", "timeline.css")
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def page(content: Conversation | Comparison) -> str:
    """Render one conversation, or a comparison of two."""
    payload = payload_of_both(content) if isinstance(content, Comparison) else payload_of(content)
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
        ("@CONVERSATION@", _embedded(payload)),  # last, so that placeholders in the data stay as they are
    ):
        text = text.replace(place, part, 1)
    return text


def _part(name: str) -> str:
    return (files(__package__) / "page" / name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _embedded(payload: JSONObject) -> str:
    """Return JSON that is safe in a script element: ASCII only, with U+2028 and lone surrogates escaped."""
    return json.dumps(payload, ensure_ascii=True, separators=(",", ":")).translate(_ESCAPES)
