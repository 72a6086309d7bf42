"""Verification: does a live server still answer as it did when a scenario was recorded?

The run, the judging and the reports are without I/O; `driving`, `http` and `listening` stand on asyncio and httpx.
"""

from __future__ import annotations

from cometreel.verify.accepting import accepted
from cometreel.verify.credentials import Credentials, credentials_of, variables
from cometreel.verify.report_masking import ReportMasking
from cometreel.verify.reports import html_report, json_report, junit_report, report_lines
from cometreel.verify.run import VerifyRun
from cometreel.verify.script import Script, SessionPlan, script_of
from cometreel.verify.verdict import Drift, ExchangeOutcome, StepVerdict, Verdict
from cometreel.verify.verify_target import VerifyTarget, target_of

__all__ = [
    "Credentials",
    "Drift",
    "ExchangeOutcome",
    "SessionPlan",
    "VerifyRun",
    "Script",
    "StepVerdict",
    "VerifyTarget",
    "ReportMasking",
    "Verdict",
    "accepted",
    "json_report",
    "credentials_of",
    "html_report",
    "junit_report",
    "report_lines",
    "script_of",
    "target_of",
    "variables",
]
