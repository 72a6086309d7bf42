"""Detects whether a file is a journal or a scenario, and reads the conversation."""

from __future__ import annotations

import re
from pathlib import Path

from cometreel.errors import FileInvalid, Problem
from cometreel.show.conversation import Conversation
from cometreel.show.journal_reader import conversation_of_journal
from cometreel.show.scenario_reader import conversation_of_scenario

__all__ = ["read_conversation"]

_JOURNAL_START = b'{"journal":'
_SCENARIO = re.compile(rb"^(\{ *)?[\"']?cometreel[\"']? *:", re.MULTILINE)
_DETECTION_BYTES = 65_536


def read_conversation(path: Path) -> Conversation:
    """Read a journal (also an incomplete one), a scenario or a folder of scenarios.

    :raises FileInvalid: if it is missing or neither, or with all problems of a scenario.
    """
    if path.is_dir() or path.suffix in (".yaml", ".yml"):
        return conversation_of_scenario(path)
    try:
        with path.open("rb") as file:
            start = file.read(_DETECTION_BYTES)
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a scenario or a journal")]) from None
    if start.startswith(_JOURNAL_START) or (path.suffix == ".jsonl" and start):
        return conversation_of_journal(path)
    if _SCENARIO.search(start):
        return conversation_of_scenario(path)
    expected = "a scenario (`cometreel: 1`) or a journal written by `record.py`"
    raise FileInvalid([Problem(str(path), 0, 0, "neither a scenario nor a journal" if start else "empty", expected)])
