"""The charset in a Content-Type field: one rule for recordings and replays."""

from __future__ import annotations

import pytest

from cometreel.wire import Headers, charset_of


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("application/json", ""),
        ("application/json;charset=UTF-8", ""),
        ("text/plain; charset=us-ascii", ""),
        ("text/plain; charset=ISO-8859-1", "latin_1"),
        ("text/plain; CharSet = 'latin1'", "latin_1"),
        ('text/plain; charset="windows-1252"; format=flowed', "cp1252"),
        ("text/plain; format=flowed; charset=Shift_JIS", "shift_jis"),
        ("text/plain; charset=utf-16le", "utf_16_le"),
        ("text/plain; charset=zip", ""),
        ("text/plain; charset=idna", ""),
        ("text/plain; charset=unicode_escape", ""),
        ("text/plain; charset=", ""),
        ("", ""),
    ],
)
def test_the_charset_of_a_content_type(content_type: str, charset: str) -> None:
    assert charset_of(content_type) == charset
    assert Headers([("Content-Type", content_type)]).charset() == charset
