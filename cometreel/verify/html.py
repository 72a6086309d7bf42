"""The verdict as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from importlib.resources import files

import jinja2

from cometreel.verify.verdict import Verdict, shown

__all__ = ["html"]


def html(verdict: Verdict) -> str:
    """The whole page."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = shown
    text = files("cometreel.verify").joinpath("page.html.jinja").read_text("utf-8")
    return environment.from_string(text).render(verdict=verdict)
