"""Runs the load generator wrk (a Debian package): requests per second of one POST over keep-alive connections.

wrk is fast enough that a server on the other core is the bottleneck. Chunked replies are supported. A reply that isn't
2xx raises, because the figure would be meaningless.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.server_processes import CLIENT_CORE, TWO_CORES

__all__ = ["missing", "requests_per_second"]

_SCRIPT = """\
wrk.method = "POST"
wrk.body = {body}
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Cookie"] = {cookie}
"""

_TIMEOUT = "20s"  # a server that starts on a busy machine, such as a JVM, can take longer than wrk's 2 s


def missing() -> list[str]:
    """Return the missing programs."""
    return [] if shutil.which("wrk") else ["the program wrk"]


def requests_per_second(
    port: int, path: str, body: str, *, cookie: str | None = None, connections: int = 8, seconds: int = 2
) -> float:
    """Send POSTs for some seconds, with this session cookie, and return the replies per second.

    :raises AssertionError: if a reply wasn't 2xx, or a connection failed.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        named = "nil" if cookie is None else f"[==[{cookie}]==]"
        Path(script.name).write_text(_SCRIPT.format(body=f"[==[{body}]==]", cookie=named))
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
        command += ["--timeout", _TIMEOUT, "--script", script.name, f"http://127.0.0.1:{port}{path}"]
        pinned = ["taskset", "-c", str(CLIENT_CORE), *command] if TWO_CORES else command
        output = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    assert "Socket errors" not in output, output
    found = re.search(r"Requests/sec: +([\d.]+)", output)
    assert found, output
    assert float(found[1]) > 0, output
    return float(found[1])
