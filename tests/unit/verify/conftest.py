"""What the tests of verification share: a stage for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.verify.fake_run import FakeRun


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., FakeRun]:
    """Begin a run: `stage("exchanges: …", patience_seconds=1)`; the first line of the file is put before it."""

    def begin(text: str, **settings: object) -> FakeRun:
        return FakeRun(tmp_path, f"cometreel: 1\n{text}", **settings)

    return begin
