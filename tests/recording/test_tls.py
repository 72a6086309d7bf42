"""A server behind TLS: reached if its certificate can be checked, and if not, said so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

from cometreel.serve.certificate import Certificate, local_certificate


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return local_certificate(tmp_path / "certificates")


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    return certificate


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back the first frame."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": (await receive())["text"]})
    await receive()


def test_a_certificate_that_is_trusted(
    serve: Callable[..., str], record: Callable[[str], Any], server: Any, trusted: Certificate
):
    studio = record(serve(server, trusted))
    assert studio.recording.upstream.scheme == "https"
    assert httpx.get(studio.url + "/api/v2/me").status_code == 200
    assert studio.kinds() == ["request", "reply"]


def test_a_websocket_over_tls(serve: Callable[..., str], record: Callable[[str], Any], trusted: Certificate):
    studio = record(serve(echo, trusted))
    with connect(studio.url.replace("http:", "ws:") + "/cometd") as client:
        client.send("one")
        assert client.recv() == "one"


def test_a_certificate_that_nobody_vouches_for(
    serve: Callable[..., str], record: Callable[[str], Any], server: Any, certificate: Certificate
):
    url = serve(server, certificate)
    reply = httpx.get(record(url).url + "/api/v2/me")
    assert reply.status_code == 502
    said = reply.json()["statusMessage"]
    assert said.startswith(f"cometreel: {url} can't be reached: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify")
    assert said.endswith("(SSL_CERT_FILE=FILE names an authority to trust)")
    assert server.asked.empty()
