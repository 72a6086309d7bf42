"""The error strings of the two dialects."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("dialect", "unknown", "created"),
    [("3.x", "402::Unknown client", "create denied"), ("4+", "402::session_unknown", "create_denied")],
)
def test_each_dialect_has_its_own_error_strings(talk_with: Any, dialect: str, unknown: str, created: str) -> None:
    session = talk_with(dialect=dialect).open()
    denied = f"403:denied_by_security_policy:{created}"
    assert session.publish("/meta/foo", 1).json[0]["error"] == denied
    session.client_id = "nobody"
    assert session.publish("/a", 1).json[0]["error"] == unknown
