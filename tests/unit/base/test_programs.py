"""Programs are found on PATH and in Debian's folders for service programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cometreel import programs
from cometreel.programs import find_program


def program(folder: Path, name: str) -> str:
    folder.mkdir()
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_on_the_path_comes_before_that_of_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usual, service = program(tmp_path / "bin", "haproxy"), program(tmp_path / "sbin", "haproxy")
    monkeypatch.setattr(programs, "SERVICES", ("/nowhere", str(tmp_path / "sbin")))
    monkeypatch.setenv("PATH", os.pathsep.join(["/nowhere", str(tmp_path / "bin")]))
    assert find_program("haproxy") == usual
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_program("haproxy") == service
    assert find_program("traefik") is None
