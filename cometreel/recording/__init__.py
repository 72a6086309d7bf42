"""Recording: from what crossed the wire to a journal without secrets, and from a journal to a scenario.

Knows nothing of mitmproxy: a door translates its own objects and calls `Recorder`.
"""

from __future__ import annotations

from cometreel.recording.distill_summary import DistillSummary
from cometreel.recording.distiller import Distilled, distill
from cometreel.recording.journal_events import JournalHeader, RecordedBody, WireEvent
from cometreel.recording.policy import Policy, load_policy
from cometreel.recording.recorder import Recorder
from cometreel.recording.recording_journal import RecordingJournal, key_path, read_journal
from cometreel.recording.scenario_files import WrittenScenario, scenario_path, write_scenario

__all__ = [
    "RecordedBody",
    "Distilled",
    "JournalHeader",
    "RecordingJournal",
    "Policy",
    "Recorder",
    "DistillSummary",
    "WireEvent",
    "WrittenScenario",
    "distill",
    "key_path",
    "load_policy",
    "read_journal",
    "scenario_path",
    "write_scenario",
]
