"""Look-up of one header field of a flow."""

from __future__ import annotations

from cometreel.mitmproxy_support.flow_translation import raw_field

FIELDS = ((b"Content-Type", b"text/plain"), (b"Content-Encoding", b"br"))


def test_a_field_is_found_whatever_its_case():
    assert raw_field(FIELDS, b"content-type") == b"text/plain"
    assert raw_field(FIELDS, b"accept") == b""
