"""Each rule with a bad example and a similar good one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cometreel.lint import RULES, Issue, lint
from cometreel.lint.fixes import fixed
from cometreel.scenario import dump, load
from cometreel.scenario.normalized_request import normalize_path
from cometreel.scenario.request_pattern import RequestPattern
from tests.base_install import needs_extra

HEAD = "cometreel: 1\ncorrelation: gws-v2\n"
STATS = """
exchanges:
  - name: stats
    request: {method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats}}
    reply: {body: {statusCode: 0, referenceId: 7}}
    events:
      - {channel: /v2/me/workbins, data: {messageType: WorkbinStatsMessage, referenceId: NUMBER}}
"""
PLACES = """
exchanges:
  - name: any place
    request: {method: POST, path: /p, body: {place: FIRST}}
    MORE
  - name: place 1
    request: {method: POST, path: PATH, body: {place: place-1}}
"""


def found(text: str, folder: Path, *, head: str = HEAD) -> list[tuple[str, str, int, str]]:
    """Return the issues of a scenario: rule, level, line, message."""
    file = folder / "lint.yaml"
    file.write_text(head + text.lstrip("\n"))
    return [(issue.rule.id, issue.level, issue.line, issue.message) for issue in lint(file)]


def places(first: str, more: str = "", path: str = "/p") -> str:
    return PLACES.replace("FIRST", first).replace("MORE", more).replace("PATH", path).replace("    \n", "")


def test_schema_reports_every_problem_at_its_line(tmp_path: Path):
    bad = "title: a\nexchanges:\n  - name: a\n    request: {method: GET, path: /a, boddy: 1}\n  - request: {}\n"
    issues = found(bad, tmp_path)
    assert {(rule, level) for rule, level, *_ in issues} == {("schema", "error")}
    assert [line for _, _, line, _ in issues] == sorted(line for _, _, line, _ in issues)
    assert "unknown key 'boddy'" in issues[0][3]
    assert "(did you mean 'body'?)" in issues[0][3]
    assert len(issues) >= 2
    assert found("title: a\nexchanges:\n  - name: a\n    request: {method: GET, path: /a}\n", tmp_path) == []


BLOCKS = {
    "anything": "{$any: anything}",
    "a type": "{$any: string}",
    "a regular expression": "{$regex: '^place-'}",
    "one of several": "{$one-of: [place-2, place-1]}",
    "a capture": "{$capture: place}",
}


@pytest.mark.parametrize("name", BLOCKS)
def test_unreachable_reports_an_exchange_hidden_by_an_earlier_one(name: str, tmp_path: Path):
    where = f"{tmp_path}/lint.yaml:4:5"
    assert found(places(BLOCKS[name]), tmp_path) == [
        (
            "unreachable",
            "error",
            6,
            (
                "'place 1' is never played: 'any place' matches all its requests; "
                f"expected a different request, or a position before the other exchange (the other is at {where})"
            ),
        )
    ]


REACHED = {
    "it matches another value": places("place-2"),
    "another kind": places("{$any: number}"),
    "another path": places("{$any: string}", path="/q"),
    "it can be used up": places("{$any: string}", "repeat: fail"),
    "it has a before guard": places("{$any: string}", "when: {before: place 1}"),
    "it has an after guard": places("{$any: string}", "when: {after: place 1}"),
    "it is for one role": places("{$any: string}", "as: agent-1") + "roles: {agent-1: {user: a}}\n",
    "it is for sessions without a login": places("{$any: string}").replace(
        "body: {place: {$any", "authenticated: false, body: {place: {$any"
    ),
    "it requires a header": places("{$any: string}").replace("path: /p, ", "path: /p, headers: {X-A: b}, ", 1),
    "it requires another member": places("{$any: string}").replace("}}", "}, more: 1}", 1),
}


@pytest.mark.parametrize("name", REACHED)
def test_unreachable_ignores_an_exchange_that_can_be_played(name: str, tmp_path: Path):
    assert [issue for issue in found(REACHED[name], tmp_path) if issue[0] != "schema"] == []
    assert [issue for issue in found(REACHED[name], tmp_path) if issue[0] == "schema"] == []


@pytest.mark.parametrize(
    ("first", "second", "blocked"),
    [
        ("{$partial: {a: 1}}", "{$partial: {a: 1, b: 2}}", True),
        ("{$partial: {a: 1, b: 2}}", "{$partial: {a: 1}}", False),
        ("{a: {$any: number}, b: 1}", "{a: {$any: integer}, b: 1}", True),
        ("{a: {$any: integer}}", "{a: {$any: number}}", False),
        ("{a: {$any: string}}", "{a: {$regex: x}}", True),
        ("{a: {$regex: x}}", "{a: {$regex: xy}}", False),
        ("{$partial: {a: 1}}", "{a: 1, b: {$any: string}}", True),
        ("{a: 1}", "{$partial: {a: 1}}", False),
        ("[{$any: string}, 1]", "[x, 1]", True),
        ("[{$any: string}]", "[x, 1]", False),
        ("{$any: object}", "{$partial: {a: 1}}", True),
        ("{a: {$any: string}}", "{a: {$one-of: [x, y]}}", True),
        ("{a: {$any: string}}", "{a: {$one-of: [x, 1]}}", False),
    ],
)
def test_unreachable_compares_patterns_and_ignores_uncertain_cases(
    first: str, second: str, blocked: bool, tmp_path: Path
):
    text = (
        f"exchanges:\n  - name: one\n    request: {{method: POST, path: /p, body: {first}}}\n"
        f"  - name: two\n    request: {{method: POST, path: /p, body: {second}}}\n"
    )
    assert [issue[0] for issue in found(text, tmp_path)] == (["unreachable"] if blocked else [])


def test_unreachable_reports_a_publish_too(tmp_path: Path):
    text = (
        "exchanges:\n  - name: one\n    request: {publish: {$any: string}, data: {$any: anything}}\n"
        "  - name: two\n    request: {publish: /chat/room, data: {a: 1}}\n"
    )
    assert [issue[:3] for issue in found(text, tmp_path)] == [("unreachable", "error", 6)]


def test_unreachable_treats_a_path_with_me_as_different(tmp_path: Path):
    text = "exchanges:\n  - name: one\n    request: {method: GET, path: /api/v2/workbins}\n"
    assert found(f"{text}  - name: two\n    request: {{method: GET, path: /api/v2/me/workbins}}\n", tmp_path) == []


def write_subscriptions(folder: Path, *subscriptions: str) -> None:
    """Write a journal with these subscriptions next to the scenario."""
    (folder / "lint.jsonl").write_text(
        '{"journal":1,"cometreel":"0","started":1.0,"profile":"gws-v2","policy":"default"}\n'
        + "".join(
            f'{{"t":0,"kind":"request","flow":"f1","bayeux":[{{"channel":"/meta/subscribe","subscription":"{name}"}}]}}\n'
            for name in subscriptions
        )
    )


def test_unheard_reports_a_channel_without_subscription_in_the_journal(tmp_path: Path):
    write_subscriptions(tmp_path, "/v2/me/workitems")
    assert found(STATS.replace("NUMBER", "7"), tmp_path) == [
        (
            "unheard",
            "warning",
            8,
            (
                "no client subscribes to '/v2/me/workbins'; expected a channel that matches /v2/me/workitems "
                "(according to the journal next to the scenario)"
            ),
        )
    ]


@pytest.mark.parametrize("subscription", ["/v2/me/workbins", "/v2/me/*", "/**"])
def test_unheard_ignores_a_channel_that_matches_a_subscription(subscription: str, tmp_path: Path):
    write_subscriptions(tmp_path, subscription)
    assert found(STATS.replace("NUMBER", "7"), tmp_path) == []


def test_unheard_without_a_journal_reports_a_misspelt_channel_as_a_note(tmp_path: Path):
    entry = "  - {{channel: {}, data: {{a: {}}}}}\n"
    usual = "timeline:\n" + "".join(entry.format("/v2/me/workbins", number) for number in range(3))
    assert found(usual + entry.format("/v2/me/workbin", 9), tmp_path) == [
        (
            "unheard",
            "note",
            7,
            (
                "'/v2/me/workbin' is used once, '/v2/me/workbins' 3 times; "
                "expected a channel with a subscriber (did you mean '/v2/me/workbins'?)"
            ),
        )
    ]
    assert found(usual + entry.format("/v2/me/devices", 9), tmp_path) == []


def delivered(event: str, more: str = "") -> str:
    return f"exchanges:\n  - name: x\n    request: {{method: POST, path: /x}}\n    events:\n      - {{{event}}}\n{more}"


ROLE = "roles: {boss: {}}\n"
NO_IDENTITY = "session: {cookie: none, credentials: ignore}\n"
UNDELIVERABLE = {
    "a role that nothing assigns": (
        delivered("channel: /c, deliver: boss", ROLE),
        7,
        (
            "nothing assigns the role 'boss'; "
            "expected a user or an id of the role, or an exchange or a timeline entry with as: that role"
        ),
    ),
    "a service channel": (
        delivered("channel: /service/c, deliver: subscribers"),
        7,
        "'/service/c' is a service channel; expected asker, all or a role",
    ),
    "another role": (
        delivered("channel: /c", "roles: {a: {}, b: {}}\ntimeline:\n  - {since: x, as: a, channel: /c}\n").replace(
            "name: x\n", "name: x\n    as: b\n"
        ),
        11,
        "'x' is for other roles than the entry; expected an exchange for a, or other roles in as",
    ),
    "a client that is gone": (
        "timeline:\n  - {since: disconnect, channel: /c}\n",
        4,
        "the client is gone when the entry starts; expected another start, or session.when_gone: keep",
    ),
    "nothing that identifies a session": (
        delivered("channel: /c", NO_IDENTITY),
        7,
        (
            "nothing joins this request with a CometD client if there are several; "
            "expected session.cookie, session.bind or credentials: use"
        ),
    ),
}


@pytest.mark.parametrize("name", UNDELIVERABLE)
def test_undeliverable_reports_notifications_that_no_client_gets(name: str, tmp_path: Path):
    text, line, message = UNDELIVERABLE[name]
    assert found(text, tmp_path) == [("undeliverable", "warning", line, message)]


DELIVERABLE = [
    delivered("channel: /c, deliver: boss", "roles: {boss: {user: ann}}\n"),
    delivered("channel: /c, deliver: boss", "roles: {boss: {id: '7'}}\n"),
    delivered("channel: /c, deliver: boss", f"{ROLE}timeline:\n  - {{as: boss, channel: /c}}\n"),
    delivered("channel: /c, deliver: subscribers"),
    delivered("channel: /service/c"),
    "timeline:\n  - {since: disconnect, channel: /c, deliver: all}\n",
    "session: {when_gone: keep}\ntimeline:\n  - {since: disconnect, channel: /c}\n",
    delivered("channel: /c, deliver: subscribers", NO_IDENTITY),
    delivered("channel: /c", "session: {cookie: none}\n"),
]


@pytest.mark.parametrize("text", DELIVERABLE)
def test_undeliverable_ignores_notifications_that_a_client_can_get(text: str, tmp_path: Path):
    assert found(text, tmp_path) == []


def test_dangling_reference_reports_a_number_that_is_not_in_the_reply(tmp_path: Path):
    assert found(STATS.replace("NUMBER", "8"), tmp_path) == [
        (
            "dangling-reference",
            "warning",
            8,
            "the notification has reference number 8, the reply has another; expected 7",
        )
    ]
    assert found(STATS.replace("NUMBER", "7"), tmp_path) == []


def test_dangling_reference_reports_an_unsolicited_notification_as_a_note(tmp_path: Path):
    entry = "timeline:\n  - {channel: /v2/me/workbins, data: {referenceId: 7}}\n"
    assert found(STATS.replace("NUMBER", "7") + entry, tmp_path) == [
        (
            "dangling-reference",
            "note",
            10,
            (
                "an unsolicited notification has reference number 7; "
                "expected an event of the exchange with this number (the reply of 'stats' has it)"
            ),
        )
    ]


def answer(body: str, request: str = "") -> str:
    return f"exchanges:\n  - name: a\n    request: {{method: GET, path: /a{request}}}\n    reply: {{body: {body}}}\n"


SECRETS = {
    "a password": ("{password: hunter2hunter2}", "its name is 'password'"),
    "a cloud access key": ("{note: AKIAQWERTYUIOPASDFGH}", "AWS Access Key"),
    "a GitHub token": ("{note: ghp_16C7e42F292c6912E7710c838347Ae178B4a}", "GitHub Token"),
    "credentials in a URL": ("{uri: 'https://bob:hunter2@gws.example/x'}", "Basic Auth Credentials"),
    "a private key": ("{note: '-----BEGIN RSA PRIVATE KEY-----'}", "Private Key"),
}


@needs_extra("secrets")
@pytest.mark.parametrize("name", SECRETS)
def test_secret_reports_values_by_format_or_name_without_showing_them(name: str, tmp_path: Path):
    body, what = SECRETS[name]
    ((rule, level, line, sentence),) = found(answer(body), tmp_path)
    assert (rule, level, line) == ("secret", "error", 6)
    assert sentence == f"the value looks like a secret: {what}; expected 'hidden' (--fix replaces it)"


@needs_extra("secrets")
def test_secret_reports_requests_and_cookies_too(tmp_path: Path):
    text = answer("{a: 1}", ", headers: {Cookie: JSESSIONID=node0abc}, body: {password: hunter2hunter2}")
    assert [(rule, line) for rule, _, line, _ in found(text, tmp_path)] == [("secret", 5), ("secret", 5)]


@pytest.mark.parametrize(
    "body",
    [
        "{password: hidden}",
        "{password: {$t: '{{ uuid() }}'}}",
        "{id: 861640a2-5e11-4c0b-b0a7-93d2c1f4e501, user: f1a3c2e4b5d64798a0b1c2d3e4f5a6b7}",
        "{passwordPolicy: 8}",
    ],
)
def test_secret_ignores_placeholders_templates_and_random_identifiers(body: str, tmp_path: Path):
    assert found(answer(body), tmp_path) == []


AGEING = {
    "a time in a request": answer("{a: 1}", ", query: {since: '2026-11-23T10:00:00Z'}"),
    "milliseconds in a request": answer("{a: 1}", ", body: {at: 1795428000000}"),
    "an expiry date": answer("{expiresAt: '2026-11-23T10:00:00Z'}"),
    "a header that caches evaluate": answer("{a: 1}").replace(
        "body:", "headers: {Last-Modified: 'Mon, 23 Nov 2026 10:00:00 GMT'}, body:"
    ),
    "a cookie with an expiry date": answer("{a: 1}").replace(
        "body:", "headers: {Set-Cookie: 'hidden; Expires=Mon, 23-Nov-2026 10:00:00 GMT'}, body:"
    ),
}
AGELESS = {
    "a time that is plain data": answer("{receivedDate: '2026-11-23T10:00:00Z'}"),
    "a time in a request that may be any": answer("{a: 1}", ", query: {since: {$regex: '^2026-11-23T10:00'}}"),
    "a header with an old time": answer("{a: 1}").replace(
        "body:", "headers: {Expires: 'Thu, 01 Jan 1970 00:00:00 GMT'}, body:"
    ),
    "a computed expiry date": answer("{expiresAt: {$t: '{{ wallclock().isoformat() }}'}}"),
}


PATHS = {
    "/users/{id}/skills": "{id} in the path is literal; expected [users, {$capture: id}, skills]",
    "/users/{user}": "{user} in the path is literal; expected [users, {$any: string}]",
    "/{user-id}": "{user-id} in the path is literal; expected [{$any: string}]",
    "/a/user-{id}.json": r"{id} in the path is literal; expected [a, {$regex: '^user\-[^/]+\.json$'}]",
    "/users/:id/x": ":id in the path is literal; expected [users, {$capture: id}, x]",
    "/users/<name>": "<name> in the path is literal; expected [users, {$capture: name}]",
    "/a/*/b": "* in the path is literal; expected [a, {$any: string}, b]",
}


def test_literal_reports_variable_parts_of_a_path_in_segments(tmp_path: Path):
    path = "[users, '{id}', {$any: string}]"
    issues, blocks = lint_and_fix(f"exchanges:\n  - name: a\n    request: {{method: GET, path: {path}}}\n", tmp_path)
    expected = "[users, {$capture: id}, {$any: string}]"
    assert issues == [f"5 warning literal: {{id}} in the path is literal; expected {expected} (--fix replaces it)"]
    assert blocks[0]["request"]["path"] == ["users", {"$capture": "id"}, {"$any": "string"}]


def lint_and_fix(text: str, folder: Path, head: str = HEAD) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the issues with their levels, and the exchanges of the fixed file."""
    file = folder / "lint.yaml"
    file.write_text(head + text.lstrip("\n"))
    issues = lint(file)
    blocks = [
        loaded.model_dump(exclude_unset=True)
        for _, fixed_file in fixed(issues)
        for loaded in fixed_file.exchanges or ()
    ]
    return [f"{issue.line} {issue.level} {issue.rule.id}: {issue.message}" for issue in issues], blocks


@pytest.mark.parametrize(("path", "message"), PATHS.items())
def test_literal_reports_variable_parts_of_a_path_with_the_pattern(path: str, message: str, tmp_path: Path):
    issues, _ = lint_and_fix(f"exchanges:\n  - name: a\n    request: {{method: GET, path: '{path}'}}\n", tmp_path)
    assert issues == [f"5 warning literal: {message} (--fix replaces it)"]


@pytest.mark.parametrize("path", PATHS)
def test_the_fixed_path_matches_what_was_meant(path: str, tmp_path: Path):
    """The fixed scenario loads, has no issue, and matches another text in place of the variable part."""
    file = tmp_path / "lint.yaml"
    file.write_text(f"cometreel: 1\nexchanges: [{{name: a, request: {{method: GET, path: '{path}'}}}}]\n")
    ((_, fixed_file),) = fixed(lint(file))
    file.write_text(dump(fixed_file))
    assert lint(file) == []
    sent = re.sub(r"\{[^}]*\}|:id|<name>|\*", "x7", path)
    assert RequestPattern.accepts_path(pattern_of(file), normalize_path(sent))
    assert not RequestPattern.accepts_path(pattern_of(file), normalize_path(f"{sent}/more"))


def pattern_of(file: Path) -> RequestPattern:
    trigger = load([file]).exchanges[0].trigger
    assert isinstance(trigger, RequestPattern)
    return trigger


def test_literal_reports_variable_parts_of_a_published_channel(tmp_path: Path):
    issues, blocks = lint_and_fix("exchanges:\n  - {name: a, request: {publish: '/service/{room}'}}\n", tmp_path)
    assert issues == [
        "4 warning literal: {room} in the publish is literal; expected {$regex: '^/service/[^/]+$'} (--fix replaces it)"
    ]
    assert blocks[0] == {"name": "a", "request": {"publish": {"$regex": "^/service/[^/]+$"}}}


QUOTED = """
exchanges:
  - name: a
    request: {method: POST, path: /a, body: '{"a": [1]}'}
    reply: {body: '[{"$b": 2}]'}
    events: [{channel: /c, data: ' {"c": "{{ user }}"} '}]
"""


def test_literal_reports_json_in_quotes_and_the_fix_has_the_json(tmp_path: Path):
    issues, blocks = lint_and_fix(QUOTED, tmp_path)
    assert issues == [
        f"{line} warning literal: the {key} is a text that contains {kind} as JSON; "
        f"expected {kind} without the quotes (--fix replaces it)"
        for line, key, kind in ((5, "body", "an object"), (6, "body", "a list"), (7, "data", "an object"))
    ]
    assert blocks == [
        {
            "name": "a",
            "request": {"method": "POST", "path": "/a", "body": {"a": [1]}},
            "reply": {"body": [{"$$b": 2}]},
            "events": [{"channel": "/c", "data": {"c": "{{ user }}"}}],
        }
    ]


TEMPLATES = """
exchanges:
  - name: a
    request: {method: POST, path: /a, body: {a: "{{ b }}"}}
    reply: {body: {user: "hello {{ user }}", bad: "{{ user"}, headers: {X-User: "{{ user }}"}}
    events: [{channel: /c, data: ["{% if user %}x{% endif %}", "{{ user + }}"]}]
faults:
  - {exchange: a, nth: 2, status: 500, text: "{{ user }}"}
"""


def test_literal_reports_templates_without_their_marker(tmp_path: Path):
    issues, blocks = lint_and_fix(TEMPLATES, tmp_path)
    assert issues == [
        "5 warning literal: {{ b }} is literal; expected {$any: string} or another marker",
        "6 warning literal: {{ user }} is literal; expected {$t: …}, a template (--fix replaces it)",
        "6 warning literal: {{ user }} is literal; expected {$t: …}, a template (--fix replaces it)",
        "7 warning literal: {% if user %}x{% endif %} is literal; expected {$t: …}, a template (--fix replaces it)",
        "7 warning literal: {{ user + }} is literal; expected {$t: …}, a template",
        "9 warning literal: {{ user }} is literal; expected a literal value (faults have no templates)",
    ]
    assert blocks[0] == {
        "name": "a",
        "request": {"method": "POST", "path": "/a", "body": {"a": "{{ b }}"}},
        "reply": {
            "body": {"user": {"$t": "hello {{ user }}"}, "bad": "{{ user"},
            "headers": {"X-User": {"$t": "{{ user }}"}},
        },
        "events": [{"channel": "/c", "data": [{"$t": "{% if user %}x{% endif %}"}, "{{ user + }}"]}],
    }


def test_literal_is_a_note_without_a_fix_in_a_recording(tmp_path: Path):
    issues, blocks = lint_and_fix(QUOTED, tmp_path, head=f"{HEAD}source: {{upstream: gws}}\n")
    assert [issue.partition(":")[0] for issue in issues] == ["6 note literal", "7 note literal", "8 note literal"]
    assert all(issue.endswith("without the quotes (or it was recorded so)") for issue in issues)
    assert blocks == []


@pytest.mark.parametrize(
    "exchange",
    [
        "{name: 'get {{ x }}', request: {method: GET, path: /a}}",
        "{name: a, request: {method: GET, path: [users, {$capture: id}]}, reply: {body: {id: {$t: '{{ id }}'}}}}",
        "{name: a, request: {method: GET, path: {$regex: '^/users/[0-9]{2}$'}}}",
        "{name: a, request: {method: GET, path: /a, query: {q: {$regex: '{{.*}}'}}}}",
        "{name: a, request: {method: POST, path: '/a:b', text: '{\"a\": 1}'}, reply: {text: '[1]'}}",
        "{name: a, request: {method: POST, path: /a, body: '{not json'}, reply: {body: {inner: '{\"a\": 1}'}}}",
        "{name: a, request: {method: POST, path: /a, body: '5'}, reply: {body: 'true'}}",
    ],
)
def test_literal_ignores_other_texts(exchange: str, tmp_path: Path):
    assert found(f"exchanges: [{exchange}]\n", tmp_path) == []


@pytest.mark.parametrize("name", AGEING)
def test_ageing_reports_values_that_depend_on_the_time_of_the_recording(name: str, tmp_path: Path):
    assert [issue[:2] for issue in found(AGEING[name], tmp_path) if issue[0] != "secret"] == [("ageing", "warning")]


@pytest.mark.parametrize("name", AGELESS)
def test_ageing_ignores_other_times(name: str, tmp_path: Path):
    assert found(AGELESS[name], tmp_path) == []


def test_a_block_or_a_file_can_ignore_a_rule(tmp_path: Path):
    bad = STATS.replace("NUMBER", "8")
    assert found(bad.replace("  - name: stats", "  - name: stats\n    x-lint: [dangling-reference]"), tmp_path) == []
    assert found(bad, tmp_path, head=f"{HEAD}x-lint: dangling-reference\n") == []
    other = bad.replace("  - name: stats", "  - name: stats\n    x-lint: [secret]")
    assert [issue[0] for issue in found(other, tmp_path)] == ["dangling-reference"]


def test_ignoring_an_unknown_rule_is_an_error(tmp_path: Path):
    text = "exchanges:\n  - name: a\n    x-lint: [secrets]\n    request: {method: GET, path: /a}\n"
    ((rule, level, line, sentence),) = found(text, tmp_path)
    assert (rule, level, line) == ("schema", "error", 5)
    assert sentence == f"unknown rule 'secrets'; expected one of {', '.join(RULES)} (did you mean 'secret'?)"


@needs_extra("secrets")
def test_issues_are_in_file_order(tmp_path: Path):
    file = tmp_path / "many.yaml"
    file.write_text(HEAD + answer("{password: hunter2hunter2}", ", query: {since: '2026-11-23T10:00:00Z'}"))
    issues: list[Issue] = lint(file)
    assert [(issue.line, issue.rule.id) for issue in issues] == [(5, "ageing"), (6, "secret")]
