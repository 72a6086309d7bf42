"""The CI samples fit the schemas of GitHub and GitLab, and their commands succeed in the starter project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cometreel.cli import ExitCode, run
from cometreel.scenario import load
from cometreel.serve import replay_app, serve_in_background
from tests.docs.pages import DOCS, File, steps
from tests.docs.shell import free_ports

SAMPLES = {step.name: step.text for step in steps((DOCS / "ci.md").read_text("utf-8")) if isinstance(step, File)}
SCHEMAS = {"test.yml": "vendor.github-workflows", ".gitlab-ci.yml": "vendor.gitlab-ci"}
JOBS = ("test", "other-languages", "verify")
TESTS_IN_ANOTHER_LANGUAGE = """#!/bin/sh
exec curl --fail --silent "$1/api/v2/notifications" \
    --json '[{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}]'
"""


def checked(schema: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_sample_fits_its_schema(name: str, tmp_path: Path):
    file = tmp_path / "sample.yml"
    file.write_text(SAMPLES[name])
    result = checked(SCHEMAS[name], file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("name", "right", "wrong"), [("test.yml", "runs-on:", "run-on:"), (".gitlab-ci.yml", "when: always", "when: ever")]
)
def test_the_schema_finds_a_mistake(name: str, right: str, wrong: str, tmp_path: Path):
    file = tmp_path / "sample.yml"
    file.write_text(SAMPLES[name].replace(right, wrong))
    assert checked(SCHEMAS[name], file).returncode == 1


def commands(name: str, job: str) -> str:
    """Return the commands of a job, without those that install packages or run only after a failure."""
    sample: dict[str, Any] = yaml.safe_load(SAMPLES[name])
    if name == ".gitlab-ci.yml":
        lines: list[str] = sample[job]["script"]
    else:
        lines = [step["run"] for step in sample["jobs"][job]["steps"] if "run" in step and "if" not in step]
    return "\n".join(line for line in lines if not line.startswith("pip install "))


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("name", SCHEMAS)
def test_the_commands_of_a_job_succeed_in_the_starter_project(name: str, job: str, tmp_path: Path):
    assert run(["init", str(tmp_path)]) == ExitCode.SUCCESS
    tests = tmp_path / "run-your-tests"
    tests.write_text(TESTS_IN_ANOTHER_LANGUAGE)
    tests.chmod(0o755)
    text = commands(name, job)
    for port, free in free_ports(re.findall(r"\b8080\b", text)).items():
        text = re.sub(rf"\b{port}\b", free, text)
    with serve_in_background(replay_app(load([tmp_path / "workbins.yaml"]))) as server:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COMETREEL_"))}
        ended = subprocess.run(
            ["bash", "-e", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n{text}"],
            cwd=tmp_path,
            env={**kept, "PATH": path, "SERVER": server.url, "no_proxy": "127.0.0.1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert text.count("\n") + 1 >= {"test": 2, "other-languages": 3, "verify": 1}[job]
