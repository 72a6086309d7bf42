"""The address of the server: what is taken, what is refused, and what is said when it can't be asked."""

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
        "--against: credentials in the URL; expected them in the environment or a netrc, see --help"
    ),
}


def test_a_slash_at_the_end_and_a_path_before_the_recorded_ones() -> None:
    assert parse_target("https://gws.example:8443/base/") == VerifyTarget(
        "https://gws.example:8443/base", "gws.example"
    )


@pytest.mark.parametrize(("url", "sentence"), REFUSED.items(), ids=REFUSED.keys())
def test_what_is_no_address_is_refused_without_repeating_a_password(url: str, sentence: str) -> None:
    with pytest.raises(OptionInvalid) as refused:
        parse_target(url)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("url", ["http://x:port", "http://[::1"])
def test_what_cannot_even_be_read_is_refused(url: str) -> None:
    with pytest.raises(OptionInvalid, match=r"^--against: '.*expected http://HOST\[:PORT\]"):
        parse_target(url)


def test_certificates_are_checked_unless_it_is_said_otherwise() -> None:
    assert parse_target("https://x").ssl_context().verify_mode is ssl.CERT_REQUIRED
    assert parse_target("https://x", insecure=True).ssl_context().verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(("text", "reason"), [(None, "No such file or directory"), ("x", "no certificate in it")])
def test_a_file_of_certificates_that_is_none_is_refused(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(OptionInvalid) as refused:
        parse_target("https://x", ca=file).ssl_context()
    assert str(refused.value) == f"--ca: {file} can't be used: {reason}; expected a file of certificates (PEM)"


def test_a_redirect_is_told_without_what_its_address_may_hold() -> None:
    told = parse_target("http://x").redirect_error("GET /a", "https://u:p@sso.example/login;jsessionid=1?token=abc")
    assert str(told) == (
        "--against: GET /a is redirected to https://sso.example; "
        "expected the address that answers itself (redirects are not followed)"
    )
