"""TLS: clients can trust the file of a generated certificate; an invalid certificate is refused."""

from __future__ import annotations

import datetime as dt
import ssl
import stat
from pathlib import Path

import httpx
import pytest

from cometreel.errors import OptionInvalid
from cometreel.serve import Certificate, ListenOptions
from cometreel.serve import certificate as module
from cometreel.serve.certificate import local_certificate, ssl_context
from tests.serve.conftest import Serve


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_client_that_trusts_the_file_is_served(serve: Serve, tmp_path: Path, host: str):
    made = local_certificate(tmp_path / "certificates")
    trusting = ssl.create_default_context(cafile=str(made.chain))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    url = serve(listening=ListenOptions(host, certificate=made)).url
    assert url.startswith("https://")
    with httpx.Client(verify=trusting, trust_env=False) as client:
        assert client.get(url + "/api/v2/page").text == "a page"
    with httpx.Client(trust_env=False) as distrustful, pytest.raises(httpx.ConnectError, match="self-signed"):
        distrustful.get(url + "/api/v2/page")


def test_a_certificate_is_generated_once_and_its_key_is_readable_by_its_owner_only(tmp_path: Path):
    made = local_certificate(tmp_path)
    assert made.key is not None
    first = (made.chain.read_bytes(), made.key.read_bytes())
    assert local_certificate(tmp_path) == made
    assert (made.chain.read_bytes(), made.key.read_bytes()) == first
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["localhost.key", "localhost.pem"]


def test_a_certificate_that_expires_soon_or_is_invalid_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LIFETIME", dt.timedelta(days=6))
    old = local_certificate(tmp_path).chain.read_bytes()
    monkeypatch.undo()
    new = local_certificate(tmp_path).chain.read_bytes()
    assert new != old
    (tmp_path / "localhost.pem").write_text("broken")
    assert local_certificate(tmp_path).chain.read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionInvalid) as refused:
        local_certificate(tmp_path / "file" / "certificates")
    assert (
        str(refused.value)
        == f"tls: {tmp_path / 'file' / 'certificates'}: Not a directory; expected a writable folder for the certificate"
    )


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path: Path):
    made, other = local_certificate(tmp_path / "one"), local_certificate(tmp_path / "other")
    assert made.key is not None
    missing = tmp_path / "missing.pem"
    wrong = {
        Certificate(missing): f"certificate: {missing} can't be read: No such file or directory; expected a PEM file",
        Certificate(
            made.chain, missing
        ): f"key: {missing} can't be read: No such file or directory; expected a PEM file",
        Certificate(made.key, made.key): f"certificate: {made.key} and {made.key} can't be used",
        Certificate(made.chain, other.key): f"certificate: {made.chain} and {other.key} can't be used",
        Certificate(made.chain): f"certificate: {made.chain} can't be used",
    }
    for certificate, text in wrong.items():
        with pytest.raises(OptionInvalid) as refused:
            ssl_context(certificate)
        assert str(refused.value).startswith(text)


def test_a_certificate_file_can_contain_its_key(tmp_path: Path):
    made = local_certificate(tmp_path)
    assert made.key is not None
    both = tmp_path / "both.pem"
    both.write_bytes(made.chain.read_bytes() + made.key.read_bytes())
    assert ssl_context(Certificate(both)).cert_store_stats()["x509"] == 0
