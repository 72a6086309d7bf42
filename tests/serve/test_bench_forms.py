"""The benchmarks measure the compiled engine only if it was built from these sources, with optimisation."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import engine_forms, serving
from benchmarks.engine_forms import LEVEL_FILE, ROOT


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a compiled engine of two modules."""
    package = tmp_path / "cometreel"
    package.mkdir()
    for name in ("wire.py", "identity.py"):
        shutil.copy(ROOT / "cometreel" / name, package)
    (package / "wire.cpython-311.so").touch()
    (tmp_path / LEVEL_FILE).write_text("3")
    monkeypatch.setattr(engine_forms, "COMPILED", tmp_path)
    return package


def names() -> list[str]:
    return [form.name for form in engine_forms.engine_forms()]


def test_a_compiled_engine_of_these_sources_is_measured_beside_pure_python(built: Path) -> None:
    assert names() == ["pure", "compiled"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("wire.py", "build/compiled was built from an older cometreel/wire.py"),
        ("wire.cpython-311.so", "build/compiled does not exist"),
    ],
)
def test_another_one_is_not_measured(name: str, reason: str, built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = built / name
    changed.unlink() if name.endswith(".so") else changed.write_text("")
    assert names() == ["pure"]
    how = "call `COMETREEL_OPTIMIZE=3 make compiled`"
    assert capsys.readouterr().out == f"Only pure Python is measured: {reason} ({how}).\n"


@pytest.mark.parametrize("level", ["0", None])
def test_one_without_optimisation_is_not_measured(
    level: str | None, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = built.parent / LEVEL_FILE
    path.unlink() if level is None else path.write_text(level)
    assert names() == ["pure"]
    reason = f"build/compiled was optimised at {level or 'an unknown level'}, not 3"
    how = "call `COMETREEL_OPTIMIZE=3 make compiled`"
    assert capsys.readouterr().out == f"Only pure Python is measured: {reason} ({how}).\n"


def test_serving_is_not_measured_without_wrk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    serving.bench(tmp_path)
    assert capsys.readouterr().out == ("Serving is not measured: missing the program wrk (`make bench` installs it)\n")


def test_sessions_over_transports_in_memory_hold_their_polls() -> None:
    command = [sys.executable, "-m", "benchmarks.memory_sessions", "20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["sessions"] == 20
    assert 0 < found["before"] <= found["after"]
