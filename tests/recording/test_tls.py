"""A server with TLS, with trusted and untrusted certificates."""

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
    recording_proxy = record(serve(server, trusted))
    assert recording_proxy.recording.upstream.scheme == "https"
    assert httpx.get(recording_proxy.url + "/api/v2/me").status_code == 200
    assert recording_proxy.kinds() == ["request", "reply"]


def test_a_websocket_over_tls(serve: Callable[..., str], record: Callable[[str], Any], trusted: Certificate):
    recording_proxy = record(serve(echo, trusted))
    with connect(recording_proxy.url.replace("http:", "ws:") + "/cometd") as client:
        client.send("one")
        assert client.recv() == "one"


def test_an_untrusted_certificate(
    serve: Callable[..., str], record: Callable[[str], Any], server: Any, certificate: Certificate
):
    url = serve(server, certificate)
    reply = httpx.get(record(url).url + "/api/v2/me")
    assert reply.status_code == 502
    message = reply.json()["statusMessage"]
    assert message.startswith(f"cometreel: {url} can't be reached: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify")
    assert message.endswith("(set SSL_CERT_FILE=FILE to trust another authority)")
    assert server.asked.empty()
