"""Verification of a live server: sends the requests of a scenario and reports differences from the recording.

Only `run_driver`, `http_session` and `cometd_session` do I/O, with asyncio and httpx.
"""

from __future__ import annotations

from cometreel.verify.accepting import proposals, updated_files
from cometreel.verify.credentials import Credentials, environment_variables, find_credentials
from cometreel.verify.report_masking import ReportMasking
from cometreel.verify.reports import html_report, json_report, junit_report, report_lines
from cometreel.verify.run import VerifyRun
from cometreel.verify.script import Script, SessionPlan, build_script
from cometreel.verify.verdict import Drift, ExchangeOutcome, StepVerdict, Verdict
from cometreel.verify.verify_target import VerifyTarget, parse_target

__all__ = [
    "Credentials",
    "Drift",
    "ExchangeOutcome",
    "ReportMasking",
    "Script",
    "SessionPlan",
    "StepVerdict",
    "Verdict",
    "VerifyRun",
    "VerifyTarget",
    "build_script",
    "environment_variables",
    "find_credentials",
    "html_report",
    "json_report",
    "junit_report",
    "parse_target",
    "proposals",
    "report_lines",
    "updated_files",
]
