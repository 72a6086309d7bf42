"""Recording: from what crossed the wire to a journal without secrets, and from a journal to a scenario.

Knows nothing of mitmproxy: a door translates its own objects and calls `Recorder`.
"""

from __future__ import annotations

from cometreel.recording.distill import Distilled, distill
from cometreel.recording.events import Body, Header, WireEvent
from cometreel.recording.journal import Journal, key_path, read_journal
from cometreel.recording.policy import Policy, load_policy
from cometreel.recording.recorder import Recorder
from cometreel.recording.summary import Summary
from cometreel.recording.writing import Written, scenario_path, write_scenario

__all__ = [
    "Body",
    "Distilled",
    "Header",
    "Journal",
    "Policy",
    "Recorder",
    "Summary",
    "WireEvent",
    "Written",
    "distill",
    "key_path",
    "load_policy",
    "read_journal",
    "scenario_path",
    "write_scenario",
]
