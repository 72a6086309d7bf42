"""Fixtures for the shipped scenarios: each is played in virtual time, and each transcript is read to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from cometreel.scenario import load
from tests.unit.engine.conftest import Talk
from tests.unit.engine.conftest import conversation as conversation
from tests.unit.engine.conversation import Conversation

SCENARIOS = Path(__file__).parents[2] / "scenarios"

Begin = Callable[..., Conversation]


@pytest.fixture
def begin(conversation: Talk) -> Begin:
    """Begin to play shipped files under the settings that they say themselves: `begin("csrf.yaml", speed=0)`."""

    def play(*names: str, **given: object) -> Conversation:
        scenario = load([SCENARIOS / name for name in names])
        said = {name: value for name, value in asdict(scenario.settings).items() if value is not None}
        return conversation(scenario, **{**said, **given})

    return play
