"""TLS in memory: data before the end of the handshake, several records in one read, and the close."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cometreel.locust_agents.connection import TlsPipe


class Server:
    """The server side, in memory."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(begin)
            .not_valid_after(begin + dt.timedelta(days=3650))
            .sign(key, hashes.SHA256())
        )
        pem = folder / "server.pem"
        encoding, none = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, none)
        pem.write_bytes(private + certificate.public_bytes(encoding))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def receive(self, data: bytes) -> bytes:
        self.incoming.write(data)
        try:
            self.tls.do_handshake()
            return self.tls.read(65536)
        except ssl.SSLWantReadError:
            return b""


def client() -> TlsPipe:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return TlsPipe(context, "localhost")


def handshake(pipe: TlsPipe, server: Server) -> bytes:
    """Exchange data until both sides have nothing to send; return the data that the server read."""
    received = b""
    while data := pipe.outgoing():
        received += server.receive(data)
        pipe.receive(server.outgoing.read())
    return received


def test_early_data_is_sent_after_the_handshake(tmp_path: Path):
    pipe, server = client(), Server(tmp_path)
    pipe.send(b"first ")
    pipe.send(b"second")
    assert handshake(pipe, server).startswith(b"first")


def test_all_records_of_one_read_are_decrypted(tmp_path: Path):
    """The rest would not be read before the next byte arrives, because the kernel reports no further read event."""
    pipe, server = client(), Server(tmp_path)
    handshake(pipe, server)
    for number in range(50):
        server.tls.write(b"%02d" % number)
    assert pipe.receive(server.outgoing.read()) == b"".join(b"%02d" % number for number in range(50))


def test_more_than_one_record_may_be_sent_at_once(tmp_path: Path):
    pipe, server = client(), Server(tmp_path)
    handshake(pipe, server)
    pipe.send(b"x" * 40_000)
    server.incoming.write(pipe.outgoing())
    received = b""
    while len(received) < 40_000:
        received += server.tls.read(65536)
    assert received == b"x" * 40_000


def test_the_close_of_the_server_is_detected(tmp_path: Path):
    pipe, server = client(), Server(tmp_path)
    handshake(pipe, server)
    server.tls.write(b"bye")
    with pytest.raises(ssl.SSLWantReadError):
        server.tls.unwrap()
    assert pipe.receive(server.outgoing.read()) == b"bye"
    assert pipe.ended


def test_data_that_is_not_tls_is_an_error():
    with pytest.raises(ssl.SSLError):
        client().receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
