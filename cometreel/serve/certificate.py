"""Certificates for TLS: the user's, or a generated one for localhost."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cometreel.errors import OptionInvalid
from cometreel.extras import require_extra

__all__ = ["Certificate", "certificate_of", "local_certificate", "ssl_context"]

NAMES = ("localhost",)
ADDRESSES = ("127.0.0.1", "::1")
LIFETIME = dt.timedelta(days=365)
RENEWED = dt.timedelta(days=7)  # before it expires


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its chain, and its private key unless the same file contains it. Both are PEM."""

    chain: Path
    key: Path | None = None


def certificate_of(chain: str | Path | None, key: str | Path | None) -> Certificate | None:
    """Return the certificate of two options; None without both.

    :raises OptionInvalid: if there is a key without a certificate.
    """
    if chain is None:
        if key is not None:
            raise OptionInvalid("key", "given without its certificate", "a certificate too")
        return None
    return Certificate(Path(chain), None if key is None else Path(key))


def ssl_context(certificate: Certificate) -> ssl.SSLContext:
    """Return the TLS context of a server with this certificate.

    :raises OptionInvalid: if a file cannot be read or is not PEM, or the key does not fit the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for option, path in (("certificate", certificate.chain), ("key", certificate.key)):
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            raise OptionInvalid(option, f"{path} can't be read: {error.strerror}", "a PEM file") from None
    try:
        context.load_cert_chain(certificate.chain, certificate.key, password=_no_password)
    except ssl.SSLError as error:
        files = f"{certificate.chain}" + (f" and {certificate.key}" if certificate.key else "")
        found = f"{files} can't be used ({error.reason or error})"
        raise OptionInvalid("certificate", found, "a PEM certificate and its own key, without a passphrase") from None
    return context


def _no_password() -> str:
    """Return an empty passphrase, so that OpenSSL does not ask on the terminal."""
    return ""


def local_certificate(folder: Path) -> Certificate:
    """Return a certificate for `localhost`, `127.0.0.1` and `::1`, generated once and kept in a folder.

    It is self-signed: a client that uses its file as a certificate authority trusts it.

    :raises OptionInvalid: if the folder is not writable.
    :raises ExtraMissing: without the extra `tls`.
    """
    require_extra("tls", "a generated certificate")
    certificate = Certificate(folder / "localhost.pem", folder / "localhost.key")
    try:
        if not _is_valid(certificate):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _generate(certificate)
    except OSError as error:
        raise OptionInvalid(
            "tls", f"{error.filename}: {error.strerror}", "a writable folder for the certificate"
        ) from None
    return certificate


def _is_valid(certificate: Certificate) -> bool:
    from cryptography import x509  # noqa: PLC0415  # 40 ms, only for TLS

    try:
        ssl_context(certificate)
        found = x509.load_pem_x509_certificate(certificate.chain.read_bytes())
    except (OptionInvalid, ValueError):
        return False
    return found.not_valid_after_utc - dt.datetime.now(dt.UTC) > RENEWED


def _generate(certificate: Certificate) -> None:
    from cryptography import x509  # noqa: PLC0415  # as above
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cometreel on localhost")])
    names = [x509.DNSName(each) for each in NAMES]
    addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in ADDRESSES]
    identity = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    signs = x509.KeyUsage(
        True, False, False, False, False, True, True, False, False
    )  # digital signature, certificate sign, CRL sign
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identity, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(identity.digest, None, None), critical=False)
        .sign(key, hashes.SHA256())
    )
    assert certificate.key is not None
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(certificate.key, private, 0o600)
    _write(certificate.chain, made.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically: another server may read it at the same time."""
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
