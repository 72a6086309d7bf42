"""Recording: writes traffic to a journal without secrets, and distills journals into scenarios.

Independent of mitmproxy: callers translate their objects and call `Recorder`.
"""

from __future__ import annotations

from cometreel.recording.data_folder import INLINE_LIMIT
from cometreel.recording.distill_summary import DistillSummary
from cometreel.recording.distiller import Distilled, distill
from cometreel.recording.journal_events import JournalHeader, RecordedBody, WireEvent
from cometreel.recording.policy import Policy, load_policy
from cometreel.recording.recorder import Recorder
from cometreel.recording.recording_journal import RecordingJournal, key_path, read_journal
from cometreel.recording.scenario_files import WrittenScenario, scenario_path, write_scenario

__all__ = [
    "INLINE_LIMIT",
    "DistillSummary",
    "Distilled",
    "JournalHeader",
    "Policy",
    "RecordedBody",
    "Recorder",
    "RecordingJournal",
    "WireEvent",
    "WrittenScenario",
    "distill",
    "key_path",
    "load_policy",
    "read_journal",
    "scenario_path",
    "write_scenario",
]
