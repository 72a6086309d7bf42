"""Exporting: a scenario in the formats of other programs: HAR, flows of mitmproxy, a summary in OpenAPI's words.

HAR and flows hold traffic, so the scenario is played, in virtual time, and what crosses the wire is written down. What
a format can't express is named, never left out silently.
"""

from __future__ import annotations

from cometreel.exporting.har import har
from cometreel.exporting.openapi import openapi
from cometreel.exporting.playing import Traffic, traffic_of
from cometreel.exporting.spoken import Spoken

__all__ = ["Spoken", "Traffic", "har", "openapi", "traffic_of"]
