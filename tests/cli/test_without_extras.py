"""An installation without extras: each command either works or prints the pip command for its extra.

The commands run in processes that can import the base requirements, pytest and Cometreel only.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import brotli  # type: ignore[import-untyped]  # it has no types
import pytest

from cometreel.cli import ExitCode, run
from cometreel.cli.main import COMMANDS
from cometreel.extras import EXTRAS, install_command
from cometreel.serve.certificate import local_certificate
from tests.base_install import hide_modules, modules_outside, requirements_of

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "recordings" / "workbin-desktop.yaml"

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment variables for processes without extras."""
    outside = modules_outside(requirements_of("cometreel", "pytest", "pip"))
    assert {module for extra in EXTRAS.values() for module in extra.modules.values()} <= outside
    return {**os.environ, **hide_modules(tmp_path_factory.mktemp("hidden"), outside)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in SAMPLE.parent.glob("workbin-desktop.*"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def command(folder: Path, environment: dict[str, str]) -> Command:
    """Run `cometreel` in the folder."""

    def run_command(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "cometreel", *words]
        ended = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended

    return run_command


@contextmanager
def serving(folder: Path, environment: dict[str, str], *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `cometreel serve` until the block ends, and yield its URL."""
    line = [sys.executable, "-m", "cometreel", "serve", SAMPLE.name, *options]
    with subprocess.Popen(
        line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.terminate()


def post(
    url: str, body: bytes, headers: dict[str, str], trust: Path | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Post without a proxy, and return status, header fields and body."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if trust is not None:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(trust))))
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=30) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()


@pytest.mark.parametrize("name", ["", *sorted(COMMANDS)])
def test_every_command_prints_its_help(name: str, command: Command):
    assert "Example:" in command(*name.split(), "--help").stdout


def test_commands_without_an_extra_run(command: Command, folder: Path):
    assert "record" in command("addons").stdout
    assert command("addons", "record").stdout.endswith("proxy_addons/record.py\n")
    assert "complete" in command("completion", "bash").stdout
    assert command("schema").stdout.startswith("{")
    assert command("distill", "workbin-desktop.jsonl", "-o", "again.yaml").stdout == "again.yaml\n"
    assert command("show", "workbin-desktop.jsonl").stdout == "workbin-desktop.html\n"
    assert "workbins" in command("show", "--text", SAMPLE.name).stdout
    assert "openapi" in command("export", SAMPLE.name, "--openapi").stdout
    assert command("export", SAMPLE.name, "--har", "-o", "desktop.har").stdout == "desktop.har\n"
    assert command("import", "desktop.har", "--url", "/api/v2/").stdout == "desktop.yaml\n"
    assert (folder / "desktop.yaml").exists()


def test_doctor_lists_the_extras_as_missing(command: Command):
    lines = command("doctor").stdout.splitlines()
    for name, extra in EXTRAS.items():
        (line,) = [line for line in lines if f" extra {name} " in line]
        assert line.startswith("missing")
        assert line.endswith(f"{extra.purpose}; try: {install_command(name)}")


NOT_RUN = "it needs detect-secrets: pip install 'cometreel[secrets]'"


def test_lint_names_the_rule_that_did_not_run(command: Command):
    assert command("lint", SAMPLE.name).stdout.splitlines()[-1] == f"rule secret did not run; {NOT_RUN}"
    last = json.loads(command("lint", SAMPLE.name, "--format", "json").stdout)[-1]
    assert (last["rule"], last["level"], last["hint"]) == ("secret", "note", NOT_RUN)
    (sarif,) = json.loads(command("lint", SAMPLE.name, "--format", "sarif").stdout)["runs"]
    (notification,) = sarif["invocations"][0]["toolConfigurationNotifications"]
    assert notification["message"]["text"] == f"rule secret did not run; {NOT_RUN}"
    assert sarif["tool"]["driver"]["rules"][notification["associatedRule"]["index"]]["id"] == "secret"


def test_lint_runs_the_other_rules(command: Command, folder: Path):
    text = "cometreel: 1\nexchanges:\n  - name: a\n    x-lint: [nothing]\n    request: {method: GET, path: /a}\n"
    (folder / "bad.yaml").write_text(text)
    assert "unknown rule 'nothing'" in command("lint", "bad.yaml", code=ExitCode.CHECK_FAILED).stdout


MISSING = {
    "verify": (("verify", SAMPLE.name, "--against", "http://127.0.0.1:1"), "cometreel verify needs httpx and deepdiff"),
    "tls": (("serve", SAMPLE.name, "--tls"), "a generated certificate needs cryptography"),
    "forward": (
        ("serve", SAMPLE.name, "--unmatched", "forward", "--upstream", "http://127.0.0.1:1"),
        "forwarding of unmatched requests needs httpx",
    ),
    "record": (("export", SAMPLE.name, "--mitm", "flows.mitm"), "exporting a flow file needs mitmproxy"),
}


@pytest.mark.parametrize("extra", MISSING)
def test_a_command_without_its_extra_prints_the_pip_command(extra: str, command: Command):
    words, reason = MISSING[extra]
    ended = command(*words, code=ExitCode.ERROR)
    assert ended.stdout == ""
    pronoun = "them" if " and " in reason else "it"
    assert ended.stderr == f"cometreel: {reason}; install {pronoun}: {install_command(extra)}\n"


def test_a_flow_file_is_not_imported(command: Command, folder: Path):
    assert run(["export", str(SAMPLE), "--mitm", str(folder / "flows.mitm")]) == ExitCode.SUCCESS
    ended = command("import", "flows.mitm", code=ExitCode.ERROR)
    assert (
        ended.stderr == f"cometreel: importing a flow file needs mitmproxy; install it: {install_command('record')}\n"
    )


def test_serve_answers_and_refuses_the_codings_that_it_lacks(folder: Path, environment: dict[str, str]):
    body = json.dumps({"operationName": "RequestAgentStats"}).encode()
    with serving(folder, environment) as (url, process):
        assert post(f"{url}/api/v2/nothing", body, {})[0] == 404
        for coding, content in (("br", brotli.compress(body)), ("zstd", b"\x28\xb5\x2f\xfd")):
            status, fields, text = post(f"{url}/api/v2/workbins", content, {"Content-Encoding": coding})
            assert (status, fields["accept-encoding"]) == (415, "gzip, deflate")
            assert json.loads(text)["statusMessage"] == (
                f"found Content-Encoding '{coding}'; expected gzip, deflate or none"
            )
        process.terminate()
        assert process.stderr is not None
        log = process.stderr.read()
    for coding in ("br", "zstd"):
        assert f"A request body in {coding} was refused; to decode it: {install_command('codings')}\n" in log


def test_serve_uses_a_certificate_of_the_user(folder: Path, environment: dict[str, str]):
    made = local_certificate(folder / "certificate")
    options = ("--certificate", str(made.chain), "--key", str(made.key))
    with serving(folder, environment, *options) as (url, _):
        assert url.startswith("https://")
        assert post(f"{url}/api/v2/nothing", b"{}", {}, made.chain)[0] == 404


def test_the_admin_api_and_its_metrics(folder: Path, environment: dict[str, str]):
    token = "a-token-of-this-test"
    with serving(folder, {**environment, "COMETREEL_ADMIN_TOKEN": token}) as (url, _):
        for path in ("/__reel__/", "/__reel__/metrics"):
            request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
                assert response.status == 200


def pytest_run(folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pytest", "-q", "-p", "cometreel.pytest_plugin", "-p", "no:cacheprovider", *words]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_starter_test_passes(command: Command, folder: Path, environment: dict[str, str]):
    command("init", "starter")
    ended = pytest_run(folder / "starter", environment, "--rootdir", str(folder / "starter"))
    assert (ended.returncode, ended.stdout.splitlines()[-1].partition(" in ")[0]) == (0, "1 passed"), ended.stdout


def test_recording_in_pytest_is_a_usage_error(folder: Path, environment: dict[str, str]):
    ended = pytest_run(folder, environment, "--rootdir", str(folder), "--reel-record=http://127.0.0.1:1")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"--reel-record needs httpx; install it: {install_command('forward')}" in ended.stderr


def test_record_mode_none_needs_no_extra(folder: Path, environment: dict[str, str]):
    options = ["--reel-record=http://127.0.0.1:1", "--reel-record-mode=none"]
    ended = pytest_run(folder, environment, "--rootdir", str(folder), *options)
    assert ended.returncode in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED), ended.stdout + ended.stderr


SLOW = {"mitmproxy", "httpx", "cryptography", "rich", "prometheus_client", "starlette.applications", "locust", "gevent"}
"""Modules that take long to import."""

IMPORTS = {
    "import cometreel": SLOW | {"click", "pydantic", "yaml", "jinja2", "httptools", "asyncio"},
    "from cometreel.cli import run; run(['--help'])": SLOW | {"pydantic", "yaml", "jinja2", "httptools", "asyncio"},
    "import cometreel.pytest_plugin": SLOW | {"click", "pydantic", "yaml", "jinja2", "httptools"},
    "import click; click.echo = lambda *_, **__: exit(); from cometreel.cli import run; run(['serve', FILE])": SLOW
    | {"cometreel.bayeux.client", "cometreel.serve.admin.api", "cometreel.serve.cluster", "jinja2", "uvicorn"},
}


@pytest.mark.parametrize("code", IMPORTS)
def test_no_slow_module_is_imported_before_it_is_needed(code: str):
    program = f"import atexit, sys; FILE = {str(SAMPLE)!r}\natexit.register(lambda: print(*sys.modules))\n{code}"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert IMPORTS[code] & {*ended.stdout.splitlines()[-1].split()} == set()
