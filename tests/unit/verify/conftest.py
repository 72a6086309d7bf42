"""Fixtures of the verify tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.verify.fake_run import FakeRun


@pytest.fixture
def start_run(tmp_path: Path) -> Callable[..., FakeRun]:
    """Start a run: `start_run("exchanges: …", patience_seconds=1)`; the version line of the scenario is added."""

    def start(text: str, **settings: object) -> FakeRun:
        return FakeRun(tmp_path, f"cometreel: 1\n{text}", **settings)

    return start
