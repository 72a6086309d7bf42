"""The Dockerfile: linted, its commands run here, and the image built and started where a Docker daemon runs."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from cometreel.engine import Backend
from cometreel.scenario import load
from cometreel.serve import replay_app, serve_in_background
from demo.peers import NODE
from tests.docs.shell import free_ports

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
SCENARIO = ROOT / "scenarios" / "subscribe.yaml"
HEALTH_CHECK, ENTRY_POINT, DEFAULT = (
    json.loads(found) for found in re.findall(r"^ *(?:CMD|ENTRYPOINT) (\[.*\])$", DOCKERFILE, re.MULTILINE)
)
LINT = """
const { validate } = require("dockerfile-utils")
const text = require("fs").readFileSync(0, "utf8")
console.log(JSON.stringify(validate(text).map(found => `${found.range.start.line + 1}: ${found.message}`)))
"""


@pytest.fixture
def dockerfile_linter() -> list[str]:
    """The command of npm's dockerfile-utils, which reads a Dockerfile and prints a JSON list of problems."""
    if not (NODE / "node_modules" / "dockerfile-utils").is_dir():
        pytest.fail(f"needs dockerfile-utils: cd {NODE} && npm ci")
    return ["node", "-e", LINT]


def problems(linter: list[str], text: str) -> list[str]:
    ended = subprocess.run(linter, cwd=NODE, input=text, capture_output=True, text=True, check=True, timeout=60)
    found: list[str] = json.loads(ended.stdout)
    return found


def test_the_dockerfile_has_no_problem_that_the_linter_finds(dockerfile_linter: list[str]):
    assert problems(dockerfile_linter, DOCKERFILE) == []
    assert problems(dockerfile_linter, DOCKERFILE.replace("EXPOSE 8080", "EXPOSE port")) == [
        "14: Invalid containerPort: port"
    ]


def test_the_image_has_the_light_installation_and_a_user_without_privileges():
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert "pip install --no-cache-dir --no-index --find-links /wheels cometreel\n" in final
    assert re.findall(r"^USER (.*)$", final, re.MULTILINE) == ["10001"]
    assert final.index("USER 10001") > final.index("pip install")
    assert final.count("HEALTHCHECK") == 1


def test_the_context_has_every_file_that_the_package_needs():
    """All that setup.cfg and MANIFEST.in name is in the context, and no recording or key."""
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"cometreel", "loadtests", "proxy_addons", "scenarios", "setup.cfg", "pyproject.toml", "MANIFEST.in"} <= kept
    assert {name for name in kept if not (ROOT / name).exists()} == set()
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"} <= kept
    assert kept.isdisjoint({"recordings", "tests", ".git", ".venv"})


def test_the_health_check_passes_only_while_the_server_answers_and_leaves_no_trace():
    with serve_in_background(replay_app(load([SCENARIO]))) as server:
        port = server.url.rpartition(":")[2]
        command = [sys.executable, *(word.replace("8080", port) for word in HEALTH_CHECK[1:])]
        assert subprocess.run(command, check=False, timeout=30).returncode == 0
        backend = server.app.driver.engine
        assert isinstance(backend, Backend)
        assert (len(backend.sessions), list(backend.calls)) == (0, [])
    with closing(socket.socket()) as bound:  # so that no other program listens on the port
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", int(port)))
        assert subprocess.run(command, check=False, timeout=30, stderr=subprocess.DEVNULL).returncode != 0


def test_the_entry_point_serves_the_folder_of_scenarios(tmp_path: Path):
    shutil.copy(SCENARIO, tmp_path)
    ((_, port),) = free_ports(["8080"]).items()
    words = [word.replace("8080", port).replace("0.0.0.0", "127.0.0.1") for word in ENTRY_POINT]
    program = Path(sys.executable).with_name(words[0])
    command = [program, *words[1:], *DEFAULT]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == f"http://127.0.0.1:{port}\n"
        server.terminate()
        assert server.wait(30) == 0


def daemon_runs() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


@pytest.mark.timeout(600)
def test_the_image_is_built_where_a_daemon_runs_and_becomes_healthy():
    """Without a Docker daemon the tests above are all that is possible."""
    if not daemon_runs():
        return
    image = "cometreel-test"
    subprocess.run(["docker", "build", "--quiet", "--tag", image, ROOT], check=True, timeout=500)
    mount = f"{SCENARIO.parent}:/scenarios:ro"
    started = ["docker", "run", "--detach", "--rm", "--volume", mount, image, SCENARIO.name]
    container = subprocess.run(started, capture_output=True, text=True, check=True).stdout.strip()
    try:
        status = ["docker", "inspect", "--format", "{{.State.Health.Status}} {{.Config.User}}", container]
        for _ in range(60):
            state = subprocess.run(status, capture_output=True, text=True, check=True).stdout.strip()
            if state == "healthy 10001":
                return
            time.sleep(1)
        pytest.fail("the container does not become healthy within a minute")
    finally:
        subprocess.run(["docker", "kill", container], capture_output=True, check=False)
