"""Header fields on their way from mitmproxy to the engine."""

from __future__ import annotations

from cometreel.mitmproxy_support.flow_translation import engine_headers, raw_field

FIELDS = ((b"Content-Type", b"text/plain"), (b"Content-Encoding", b"br"), (b"X-Name", b"J\xf6rg"))


def test_the_same_fields_give_the_same_object():
    assert engine_headers(FIELDS) is engine_headers(tuple(FIELDS[:2]) + FIELDS[2:])


def test_a_body_that_was_decoded_has_no_content_encoding():
    assert engine_headers(FIELDS).get("content-encoding") == "br"
    assert engine_headers(FIELDS, decoded=True).get("content-encoding") is None


def test_bytes_that_are_no_text_survive():
    name = engine_headers(FIELDS).get("x-name")
    assert name is not None
    assert name.encode("utf-8", "surrogateescape") == b"J\xf6rg"


def test_a_field_is_found_whatever_its_case():
    assert raw_field(FIELDS, b"content-type") == b"text/plain"
    assert raw_field(FIELDS, b"accept") == b""
