"""Connections to real servers: TLS, WebSocket, chunked replies, closed connections, and logout."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demo.processes import Process
from tests.load.conftest import MIX, OWNERS, ROOT, Start, await_log, counts, failures, requests

LOAD = ("-u", 5, "-r", 5, "--reel-rate", "steps 40,0 of 3s", "--reel-patience", "3s", *MIX, *OWNERS)
HOLDS = ("--reel-limit", "error == 0", "--reel-limit", "unexpected == 0", "--reel-limit", "session lost == 0")


def pem(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    one, other = folder / "cert.pem", folder / "key.pem"
    encoding = serialization.Encoding.PEM
    one.write_bytes(certificate.public_bytes(encoding))
    other.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return one, other


@pytest.fixture
def light(tmp_path: Path, processes: list[Process]) -> Callable[..., str]:
    """Start the benchmark server; with a certificate and a key it uses TLS."""

    def start(*arguments: object) -> str:
        program = ROOT / "benchmarks" / "gws_light.py"
        process = Process("light", [sys.executable, program, "5", *map(str, arguments)], tmp_path)
        processes.append(process)
        port = process.await_line(r"^port (\d+)")[1]
        return f"{'https' if arguments else 'http'}://127.0.0.1:{port}"

    return start


def start_http_features_server(folder: Path, processes: list[Process], **faults: int) -> tuple[str, Path]:
    """Start the server with many HTTP features; return its URL and its certificate."""
    certificate, key = pem(folder)
    command: list[str | Path] = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.load.http_features_server"]
    process = Process("http-features", [*command, json.dumps(faults), "7", certificate, key], folder)
    processes.append(process)
    port = process.await_line(r"^port (\d+)")[1]
    return f"https://127.0.0.1:{port}", certificate


def sent(out: str) -> int:
    found = re.search(r"^All +([\d,]+)", out, re.MULTILINE)
    assert found
    return int(found[1].replace(",", ""))


def test_over_tls_nothing_is_lost(light: Callable[..., str], locust: Start, tmp_path: Path):
    out = locust("--host", light(*pem(tmp_path)), *LOAD, *HOLDS).await_end()
    assert sent(out) > 80


def test_an_untrusted_certificate_is_reported_before_any_load(light: Callable[..., str], locust: Start, tmp_path: Path):
    (tmp_path / "other").mkdir()
    strange, _ = pem(tmp_path / "other")
    process = locust("--host", light(*pem(tmp_path)), *LOAD, "--reel-trust", strange)
    await_log(process, "--host: https://127.0.0.1:[0-9]+: TLS failed; expected a server that answers")


@pytest.mark.parametrize("transport", ["long-polling", "websocket"])
def test_the_replay_answers_all_five_kinds(transport: str, replay: Callable[..., str], locust: Start, tmp_path: Path):
    owners = [
        *("--reel-owners", "place=Place1", "--reel-owners", "agent-group=ServiceAgentGroup"),
        *("--reel-owners", "place-group=ServicePlaceGroup", "--reel-owners", "user=28383e5523c7479cae4afa8df88d66df"),
    ]
    mix = ("--reel-mix", "agent=20,place=20,agent-group=20,place-group=20,user=20")
    load = ("-u", 5, "-r", 5, "--reel-rate", "steps 20,0 of 4s", "--reel-transport", transport, "--html", "report.html")
    out = locust("--host", replay("request_agent_stats"), *load, *mix, *owners, *HOLDS).await_end()
    assert sent(out) > 50
    for kind in ("Agent", "Place", "AgentGroup", "PlaceGroup", "User"):
        assert re.search(rf"^{kind} +\d+", out, re.MULTILINE)
    assert "report: report.html" in out
    page = (tmp_path / "report.html").read_text()
    assert 'class="reel"' in page.rpartition("</body>")[0]
    assert "<polyline" in page
    assert max(map(len, out.splitlines())) <= 100


def test_desktops_log_in_with_a_csrf_token_and_subscribe(replay: Callable[..., str], locust: Start, tmp_path: Path):
    (tmp_path / "users.csv").write_text("user,password\n" + "".join(f"user-{n},secret-{n}\n" for n in range(4)))
    load = (
        "-u",
        4,
        "-r",
        4,
        "--reel-rate",
        "steps 10,0 of 4s",
        "--reel-mix",
        "place=100",
        "--reel-owners",
        "place=Place1",
    )
    host = replay("login_workload", "request_agent_stats", reel_auth="csrf")
    process = locust("--host", host, *load, "--reel-users", "users.csv", "--reel-beside", "subscribe", *HOLDS)
    out = process.await_end()
    assert re.search(r"^Subscribe +16 +16 +0 +0", out, re.MULTILINE)
    assert "secret-" not in out + process.err.read_text()


def test_http_features_are_supported_and_redirects_are_failures(
    locust: Start, processes: list[Process], tmp_path: Path
):
    """Basic credentials in each request, a trusted certificate, 103, chunks, closed connections, and state changes."""
    url, certificate = start_http_features_server(tmp_path, processes, redirect=50)
    (tmp_path / "users.csv").write_text("user,password\n" + "".join(f"user-{n},secret-{n}\n" for n in range(5)))
    process = locust(
        *("--host", url, *LOAD, "--reel-users", "users.csv", "--reel-login", "basic", "--reel-trust", certificate),
        *("--reel-beside", "subscribe,request-stats", "--csv", "run"),
        *("--reel-limit", "lost == 0", "--reel-limit", "unexpected == 0", "--reel-limit", "session lost == 0"),
    )
    out, made = process.await_end(), counts(url)
    assert failures(tmp_path / "run") == {"ack: PostFailed('HTTP 302')": made["redirect"]}
    assert {"without credentials", "elsewhere"}.isdisjoint(made)
    assert made["closed connections"] > 20
    assert re.search(r"^Subscribe +10 +10 +0 +0", out, re.MULTILINE)
    assert re.search(r"^RequestStats +10 +10 +10 +10", out, re.MULTILINE)
    assert (made["WorkbinSubscriptionStateChangeMessage"], made["WorkbinStateChangeMessage"]) == (10, 10)
    sent_stats = sum(
        number for (kind, name), number in requests(tmp_path / "run").items() if "Agent" in name and kind == "ack"
    )
    assert sent_stats == made["answer"] + made["redirect"]
    assert "secret-" not in out + process.err.read_text()


def test_an_interrupted_run_logs_out_and_writes_a_report(faulty: Callable[..., str], locust: Start):
    url = faulty()
    process = locust("--host", url, "-u", 5, "-r", 5, "--reel-rate", 20, *MIX, *OWNERS, "--reel-patience", "2s")
    await_log(process, "The run starts: 5 of 5")
    process.stop(signal.SIGINT)
    assert "expected notifications came" in process.out.read_text()
    assert counts(url)["disconnects"] == 5 + 1  # the agents, and the check before the run
    assert "Traceback" not in process.err.read_text()
