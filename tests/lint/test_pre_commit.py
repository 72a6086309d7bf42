"""The pre-commit hook, run by pre-commit, without creating an environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / ".pre-commit-hooks.yaml"
GOOD = "cometreel: 1\nexchanges:\n  - name: a\n    request: {method: GET, path: /a}\n"
BAD = GOOD.replace("path: /a", "path: /a, body: {password: hunter2hunter2}")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that uses the hook with the `cometreel` of this environment."""
    (hook,) = yaml.safe_load(MANIFEST.read_text())
    config = {"repos": [{"repo": "local", "hooks": [{**hook, "language": "system", "additional_dependencies": []}]}]}
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "good.yaml").write_text(GOOD)
    (tmp_path / "other.yaml").write_text("not: a scenario\n")
    return tmp_path


def hooked(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run pre-commit on all files of the repository."""
    bin_ = Path(sys.executable).parent
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(folder / ".cache"),
    }
    for command in (["git", "init", "-q"], ["git", "add", "."]):
        subprocess.run(command, cwd=folder, env=environment, check=True)
    command = [str(bin_ / "pre-commit"), "run", "--all-files"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_pre_commit_accepts_the_definition():
    command = [str(Path(sys.executable).with_name("pre-commit")), "validate-manifest", str(MANIFEST)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_clean_scenarios_pass_and_other_files_are_ignored(repository: Path):
    ended = hooked(repository)
    assert (ended.returncode, ended.stdout.rstrip().endswith("Passed")) == (0, True)


def test_a_scenario_with_a_secret_fails(repository: Path):
    (repository / "scenarios" / "bad.yaml").write_text(BAD)
    ended = hooked(repository)
    assert ended.returncode == 1
    assert "scenarios/bad.yaml:4:" in ended.stdout
    assert "hunter2" not in ended.stdout
