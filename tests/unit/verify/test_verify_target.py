"""The URL of the server: valid and invalid ones, certificates, and errors."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from cometreel.errors import OptionInvalid
from cometreel.verify import VerifyTarget, parse_target

REFUSED = {
    "gws.example": "--against: 'gws.example'; expected http://HOST[:PORT] or https://HOST[:PORT]",
    "ftp://x": "--against: 'ftp://x'; expected http://HOST[:PORT] or https://HOST[:PORT]",
    "http://": "--against: 'http://'; expected http://HOST[:PORT] or https://HOST[:PORT]",
    "http://x/?a": "--against: 'http://x/?a'; expected a URL without ? and #",
    "http://ann:s3cret@x": (
        "--against: credentials in the URL; expected credentials in the environment or a netrc file (see --help)"
    ),
}


def test_final_slash_is_removed_and_path_kept() -> None:
    assert parse_target("https://gws.example:8443/base/") == VerifyTarget(
        "https://gws.example:8443/base", "gws.example"
    )


@pytest.mark.parametrize(("url", "sentence"), REFUSED.items(), ids=REFUSED.keys())
def test_invalid_url_is_refused_without_printing_a_password(url: str, sentence: str) -> None:
    with pytest.raises(OptionInvalid) as refused:
        parse_target(url)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("url", ["http://x:port", "http://[::1"])
def test_unparsable_url_is_refused(url: str) -> None:
    with pytest.raises(OptionInvalid, match=r"^--against: '.*expected http://HOST\[:PORT\]"):
        parse_target(url)


def test_certificates_are_checked_by_default() -> None:
    assert parse_target("https://x").ssl_context().verify_mode is ssl.CERT_REQUIRED
    assert parse_target("https://x", insecure=True).ssl_context().verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(("text", "reason"), [(None, "No such file or directory"), ("x", "no certificate in it")])
def test_unusable_certificate_file(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(OptionInvalid) as refused:
        parse_target("https://x", ca=file).ssl_context()
    assert str(refused.value) == f"--ca: {file} can't be used: {reason}; expected a file of certificates (PEM)"


def test_redirect_error_has_no_credentials_or_query() -> None:
    error = parse_target("http://x").redirect_error("GET /a", "https://u:p@sso.example/login;jsessionid=1?token=abc")
    assert str(error) == (
        "--against: GET /a is redirected to https://sso.example; "
        "expected the final address (redirects are not followed)"
    )
