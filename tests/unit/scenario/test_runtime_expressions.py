"""Runtime expressions name one place in a request, a reply or a Bayeux message."""

from __future__ import annotations

import pytest

from cometreel.scenario import RuntimeExpression, parse_expression


@pytest.mark.parametrize(
    ("text", "expression", "last_token"),
    [
        ("$response.body#/sessionId", RuntimeExpression("response", "body", pointer="/sessionId"), "sessionId"),
        ("$response.body#/data/0/a~1b", RuntimeExpression("response", "body", pointer="/data/0/a~1b"), "a/b"),
        ("$response.body#", RuntimeExpression("response", "body"), "body"),
        ("$response.header.X-Session", RuntimeExpression("response", "header", "X-Session"), "X-Session"),
        (
            "$response.header.Location?code",
            RuntimeExpression("response", "header", "Location", parameter="code"),
            "code",
        ),
        ("$request.path.sessionId", RuntimeExpression("request", "path", "sessionId"), "sessionId"),
        ("$request.query.session", RuntimeExpression("request", "query", "session"), "session"),
        ("$request.header.X-Session", RuntimeExpression("request", "header", "X-Session"), "X-Session"),
        ("$request.body#/sessionId", RuntimeExpression("request", "body", pointer="/sessionId"), "sessionId"),
        ("$message#/ext/token", RuntimeExpression("message", "body", pointer="/ext/token"), "token"),
    ],
)
def test_an_expression_is_parsed_and_written_back(text: str, expression: RuntimeExpression, last_token: str) -> None:
    parsed = parse_expression(text)
    assert (parsed, str(parsed), parsed.last_token) == (expression, text, last_token)


@pytest.mark.parametrize(
    "text",
    ["", "sessionId", "$response.body", "$response.body#id", "$request.path.a-b", "$request.cookie.a", "$message.data"],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a runtime expression"):
        parse_expression(text)
