"""Lookup of a header field of a flow."""

from __future__ import annotations

from cometreel.mitmproxy_support.flow_translation import raw_field

FIELDS = ((b"Content-Type", b"text/plain"), (b"Content-Encoding", b"br"))


def test_field_names_are_case_insensitive():
    assert raw_field(FIELDS, b"content-type") == b"text/plain"
    assert raw_field(FIELDS, b"accept") == b""
