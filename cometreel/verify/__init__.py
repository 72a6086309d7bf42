"""Verification: does a live server still answer as it did when a scenario was recorded?

The run, the judging and the reports are without I/O; `driving`, `http` and `listening` stand on asyncio and httpx.
"""

from __future__ import annotations

from cometreel.verify.accepting import accepted
from cometreel.verify.credentials import Credentials, credentials_of, variables
from cometreel.verify.driving import drive
from cometreel.verify.html import html
from cometreel.verify.junit import junit
from cometreel.verify.report import as_json, lines
from cometreel.verify.run import Run
from cometreel.verify.script import Part, Script, script_of
from cometreel.verify.target import Target, target_of
from cometreel.verify.veil import Veil
from cometreel.verify.verdict import Finding, Outcome, StepVerdict, Verdict

__all__ = [
    "Credentials",
    "Finding",
    "Outcome",
    "Part",
    "Run",
    "Script",
    "StepVerdict",
    "Target",
    "Veil",
    "Verdict",
    "accepted",
    "as_json",
    "credentials_of",
    "drive",
    "html",
    "junit",
    "lines",
    "script_of",
    "target_of",
    "variables",
]
