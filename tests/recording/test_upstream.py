"""The URL of the server, as given by a user."""

from __future__ import annotations

import pytest

from cometreel.errors import OptionInvalid
from cometreel.recording.upstream import Upstream

EXPECTED = "expected http://HOST:PORT or https://HOST:PORT"


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://gws.example:8080", "gws.example:8080"),
        ("http://gws.example:8080/", "gws.example:8080"),
        ("https://gws.example", "gws.example"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_a_server_is_named_by_scheme_host_and_port(url: str, authority: str):
    upstream = Upstream.at(url)
    assert (upstream.authority, str(upstream)) == (authority, url.rstrip("/"))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("gws.example:8080", f"--reel-record: 'gws.example:8080'; {EXPECTED}"),
        ("", f"--reel-record: ''; {EXPECTED}"),
        ("ftp://gws.example", f"--reel-record: 'ftp://gws.example'; {EXPECTED}"),
        ("http://:80", f"--reel-record: 'http://:80'; {EXPECTED}"),
        (
            "http://gws.example/api/v2",
            (
                f"--reel-record: 'http://gws.example/api/v2' has a path; {EXPECTED} "
                "(leave out the path; the client sends the paths)"
            ),
        ),
        (
            "http://ann:canary@gws.example",
            f"--reel-record: the URL contains credentials; {EXPECTED} (the client sends its own credentials)",
        ),
        ("http://gws.example:port", f"--reel-record: the URL is invalid; {EXPECTED}"),
    ],
)
def test_other_urls_are_rejected(url: str, sentence: str):
    with pytest.raises(OptionInvalid) as refused:
        Upstream.at(url)
    assert str(refused.value) == sentence


def test_certificates_are_checked():
    assert Upstream.at("http://gws.example").ssl_context is None
    context = Upstream.at("https://gws.example").ssl_context
    assert context is not None
    assert context.check_hostname
