"""All problems of a scenario are reported at once, with line, column and expected value."""

from __future__ import annotations

import pytest

from cometreel.errors import FileInvalid
from cometreel.scenario import loads
from cometreel.scenario.findings import _EXAMPLES
from cometreel.scenario.model import Block

HEAD = "cometreel: 1\nexchanges:\n  - name: one\n    request: {method: GET, path: /x}\n"


def problems(text: str) -> list[str]:
    with pytest.raises(FileInvalid) as caught:
        loads(text, "f")
    return str(caught.value).split("\n")


EVENT = HEAD + "    events:\n      - "
REPLY = HEAD + "    reply: "
TWO = HEAD + "  - name: two\n    request: {method: GET, path: /y, "
FAULT = HEAD + "faults:\n  - "
TIMELINE = HEAD + "timeline:\n  - "
SESSION = "cometreel: 1\nsession: "
BIND = "cometreel: 1\nsession: {bind: ["
REQUEST = "cometreel: 1\nexchanges:\n  - name: one\n    request: "


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # the file
        ("- a", "f:1:1: a list; expected a mapping (start the file with 'cometreel: 1')"),
        ("title: x", "f:1:1: the file has no `cometreel`; add `cometreel: 1`, the version of the format"),
        (
            "cometreel: 2",
            "f:1:12: version 2 of the format; expected version 1 (a newer version of Cometreel wrote this file; t",
        ),
        ("cometreel: 0", "f:1:12: the number 0; expected 1"),
        ("cometreel: '1'", "f:1:12: the text '1'; expected 1 (write 1 without quotes)"),
        (
            "cometreel: 1\ntitel: x",
            "f:2:1: unknown key 'titel'; expected one of bayeux, cometreel, correlation, exchanges, faults, ignore, re",
        ),
        ("cometreel: 1\nexchanges: {}", "f:2:12: a mapping; expected a list"),
        ("cometreel: 1\nexchanges: [x]", "f:2:13: the text 'x'; expected a mapping"),
        ("cometreel: 1\nbayeux: {advice: {timeout: 30s}}", "f:2:28: the text '30s'; expected a whole number"),
        ("cometreel: 1\nbayeux: {max_interval: 10}", "f:2:24: the number 10; expected text"),
        ("cometreel: 1\nbayeux: {deliver: some}", "f:2:19: the text 'some'; expected all or subscribed"),
        ("cometreel: 1\nsettings: {repeat: lost}", "f:2:20: the text 'lost'; expected last or cycle or fail (did you"),
        (
            "cometreel: 1\nsettings: {cors: [http://localhost:3000, 'http://x/path']}",
            "f:2:42: the text 'http://x/path'; expected an origin without a path, such as http://localhost:3000, or * ",
        ),
        (
            "cometreel: 1\nsettings: {cors: localhost}",
            "f:2:18: the text 'localhost'; expected an origin without a path",
        ),
        ("cometreel: 1\nsettings: {cors: []}", "f:2:18: a list; expected at least one origin"),
        ("cometreel: 1\nsettings: {speed: -1}", "f:2:19: the number -1; expected a number, 0 or more"),
        ("cometreel: 1\nsource: {recorded: today}", "f:2:20: the text 'today'; expected a time such as 2026-11-23T"),
        ("cometreel: 1\nsession: {cookie: a b}", "f:2:19: the text 'a b'; expected the name of a cookie, or none"),
        (
            "cometreel: 1\ncorrelation: gws-v3",
            "f:2:14: unknown correlation profile 'gws-v3'; expected gws-v2 or workspace-v3 (did you mean 'gws-v2'?)",
        ),
        ("cometreel: 1\ncorrelation: {reply: [id]}", "f:2:23: the text 'id'; expected a JSON Pointer such as"),
        (
            "cometreel: 1\ncorrelation: {extends: x}",
            "f:2:24: unknown correlation profile 'x'; expected gws-v2 or workspace-v3",
        ),
        (
            "cometreel: 1\nroles: {a: {usr: x}}",
            "f:2:13: unknown key 'usr'; expected one of id, user (did you mean 'user'?)",
        ),
        (
            BIND + "{from: '$response.body#/a~2', in: [$request.query.a]}]}",
            "f:2:25: the text '$response.body#/a~2'; expected $response.body#/POINTER, $response.header.NAME or",
        ),
        # requests
        (REQUEST + "{path: /x}", "f:4:14: request has no `method`; add one, for example `method: POST`"),
        (REQUEST + "{method: GET}", "f:4:14: request has no `path`; add one, for example `path: /api/v2/me`"),
        (
            REQUEST + "{method: GET, path: /x?a=1}",
            "f:4:34: the text '/x?a=1'; expected a path (put the part after '?' under query:)",
        ),
        (REQUEST + "{method: GET, path: 'http://h/x'}", "f:4:34: the text 'http://h/x'; expected a path (leave out"),
        (REQUEST + "{method: GET, path: /x, query: {a: 1}}", "f:4:49: the number 1; expected text (quote it"),
        (REQUEST + "{method: GET, path: /x, query: a=1}", "f:4:45: the text 'a=1'; expected a mapping of names"),
        (
            REQUEST + "{method: GET, path: {$t: x}}",
            "f:4:35: $t isn't allowed in a request; expected one of $any, $capture, $csv, $id, $one-of, $regex",
        ),
        (
            REQUEST + "{method: GET, path: /x, body: {$regx: x}}",
            "f:4:45: unknown marker $regx; expected one of $any, $capture, $csv, $id, $one-of, $partial, $regex (did y",
        ),
        (
            REQUEST + "{method: GET, path: /x, body: {$regex: '('}}",
            "f:4:53: the regular expression '(' is invalid: missing ), unterminated subpattern at position 0; expected",
        ),
        (
            REQUEST + "{method: GET, path: /x, body: {$regex: '(?P<request>.)'}}",
            "f:4:53: the group name 'request' is reserved for templates; expected another name",
        ),
        (
            REQUEST + "{method: GET, path: /x, body: {$any: str}}",
            "f:4:51: the text 'str'; expected one of string, number, integer, boolean, object, array, null, anything (",
        ),
        (
            REQUEST + "{method: GET, path: /x, body: {$capture: request}}",
            "f:4:55: the name 'request' is reserved for templates; expected another name",
        ),
        (REQUEST + "{method: GET, path: /x, body: {$one-of: []}}", "f:4:54: a list; expected a list of at least"),
        (REQUEST + "{method: GET, path: /x, body: {$partial: 1}}", "f:4:55: the number 1; expected a mapping of"),
        (
            REQUEST + "{method: GET, path: /x, body: {$any: string, a: 1}}",
            "f:4:45: the marker $any can't be combined with other keys; expected an object with only the marker (write",
        ),
        (
            REQUEST + "{method: GET, path: /x, body: 1, text: x}",
            "f:4:47: text can't be combined with body; expected one of body, form, text, base64",
        ),
        (REQUEST + "{method: GET, path: /x, base64: '?'}", "f:4:46: the text '?'; expected bytes in Base64"),
        (REQUEST + "{publish: chat}", "f:4:24: the text 'chat'; expected a channel such as /v2/me/workbins"),
        (
            REQUEST + "{publish: /a/*}",
            "f:4:24: the text '/a/*'; expected a channel without wildcards (only subscriptions may use wildcards)",
        ),
        (
            REQUEST + "{publish: /a, method: GET}",
            "f:4:28: unknown key 'method'; expected one of authenticated, data, ext, publish (custom keys start with x",
        ),
        # replies and events
        (REPLY + "{after: 5}", "f:5:20: the number 5; expected a duration such as 120ms, 5s or 1m (write 5s or 5ms)"),
        (REPLY + "{after: 5 s}", "f:5:20: the text '5 s'; expected a duration such as 120ms, 5s or 1m"),
        (REPLY + "{status: 99}", "f:5:21: the number 99; expected an HTTP status from 200 to 599"),
        (REPLY + "{status: '200'}", "f:5:21: the text '200'; expected an HTTP status from 200 to 599"),
        (
            REPLY + "{successful: true}",
            "f:5:13: successful isn't allowed in the reply to an HTTP request; expected one of base64, body, headers, ",
        ),
        (
            REPLY + "{body: {$any: string}}",
            "f:5:20: $any isn't allowed in a reply or an event; expected one of $csv, $entries, $id, $t",
        ),
        (
            REPLY + "{body: {$t: '{{ x'}}",
            "f:5:24: the template '{{ x' is invalid: unexpected end of template, expected 'end of print statement'.; e",
        ),
        (
            REPLY + "{body: {$t: '{{ reff }}'}}",
            "f:5:24: the template '{{ reff }}' uses the undefined name 'reff'; expected one of count, ids, now, randin",
        ),
        (REPLY + "{body: {a: {$id: p-1}}}", "f:5:29: no request binds {$id: p-1}; expected the name of an $id in"),
        (REPLY + "{headers: {'A b': x}}", "f:5:23: the text 'A b'; expected the name of a header field"),
        (REPLY + '{headers: {A: "x\\0"}}', "f:5:26: the text 'x\\x00'; expected one line of text"),
        (
            REQUEST + "{method: GET, path: /x, headers: {'A:': x}}",
            "f:4:48: the text 'A:'; expected the name of a header",
        ),
        (
            FAULT + '{exchange: one, status: 503, headers: {A: "x\\n"}}',
            "f:6:47: the text 'x\\n'; expected one line of text",
        ),
        (REPLY + '{headers: {A: "x\\ny"}}', "f:5:26: the text 'x\\ny'; expected one line of text"),
        (
            REPLY + "{boddy: 1}",
            "f:5:13: unknown key 'boddy'; expected one of after, base64, body, data, error, ext, headers, status, succ",
        ),
        (EVENT + "{data: 1}", "f:6:9: the event has no `channel`; add `channel: /…` or `disconnect: true`"),
        (EVENT + "{channel: a/b}", "f:6:19: the text 'a/b'; expected a channel such as /v2/me/workbins (a channel"),
        (EVENT + "{channel: /meta/connect}", "f:6:19: the text '/meta/connect'; expected a channel of the"),
        (
            EVENT + "{disconnect: true, data: 1}",
            "f:6:28: data can't be combined with disconnect; expected after, deliver and disconnect only",
        ),
        (EVENT + "{channel: /a, count: -1}", "f:6:30: the number -1; expected a whole number, 0 or more"),
        (EVENT + "{channel: /a, batch: true}", "f:6:30: true; expected the name of a batch"),
        (
            EVENT + "{disconnect: true, deliver: subscribers}",
            "f:6:37: a disconnect has no channel to subscribe to; expected asker, all or a role",
        ),
        (
            EVENT + "{channel: /a, deliver: subscriber}",
            "f:6:32: unknown receiver 'subscriber'; expected asker, subscribers, all or the name of a role (did you me",
        ),
        (
            EVENT + "{channel: /a, deliver: all}\nroles: {all: {}}",
            "f:6:32: 'all' is also the name of a role; expected a role with another name",
        ),
        # sessions
        (SESSION + "{credentials: no}", "f:2:24: the text 'no'; expected use or ignore"),
        (SESSION + "{anonymous: many}", "f:2:22: the text 'many'; expected one or address or each"),
        (SESSION + "{max_provisional: 0}", "f:2:28: the number 0; expected a whole number, 1 or more"),
        (
            BIND + "{from: $request.path.id, in: [$request.query.id]}]}",
            "f:2:25: the text '$request.path.id'; expected $response.body#/POINTER, $response.header.NAME or $respon",
        ),
        (
            BIND + "{from: $response.body#id, in: [$request.query.id]}]}",
            "f:2:25: the text '$response.body#id'; expected $response.body#/POINTER",
        ),
        (BIND + "{from: $response.body#/id}]}", "f:2:18: "),
        (BIND + "{from: $response.body#/id, in: []}]}", "f:2:49: a list; expected a list of places, such as [$request"),
        (
            BIND + "{from: $response.body#/id, in: [$response.body#/id]}]}",
            "f:2:50: the text '$response.body#/id'; expected $request.path.NAME, $request.query.NAME, $request.header",
        ),
        (
            BIND + "{from: $response.body#/id, in: [$request.path.id]}]}",
            "f:2:50: no path of an exchange has {$capture: id}; expected the name of a capture in a path",
        ),
        (
            BIND + "{from: $response.body#/id, in: [$request.query.id]}, "
            "{from: $response.header.id, in: [$request.query.b]}]}",
            "f:2:71: two rules have the name 'id'; expected a unique name",
        ),
        # references
        (HEAD + HEAD[24:], "f:5:11: the name 'one' is used twice; expected a unique name (first used at f:3:11)"),
        (
            HEAD.replace("one", "connect"),
            "f:3:11: the name 'connect' is reserved for the timeline; expected another name",
        ),
        (
            HEAD + "    when: {after: on}",
            "f:5:19: unknown exchange 'on'; expected the name of an exchange (did you mean 'one'?)",
        ),
        (HEAD + "    when: {before: [one, tow]}", "f:5:26: unknown exchange 'tow'; expected the name of an exchange"),
        (HEAD + "    as: agent", "f:5:9: unknown role 'agent'; expected a role under roles:"),
        (
            HEAD + "    repeat: last\n" + HEAD[24:].replace("one", "two"),
            "f:3:5: repeat: last is set, but exchanges with the same request follow; expected repeat: on the last one,",
        ),
        (
            TIMELINE + "{since: onne, channel: /a}",
            "f:6:13: unknown exchange 'onne'; expected the name of an exchange, or handshake or connect or",
        ),
        (
            TIMELINE + "{until: unsub, channel: /a}",
            "f:6:13: unknown exchange 'unsub'; expected the name of an exchange, or handshake or connect or",
        ),
        (
            TIMELINE + "{since: {subscribed: /a}, channel: /a}",
            "f:6:13: a mapping; expected {subscribe: CHANNEL} or {unsubscribe: CHANNEL}",
        ),
        (
            TIMELINE + "{since: {subscribe: a}, channel: /a}",
            "f:6:25: the text 'a'; expected a channel such as /v2/me/workbins or /v2/me/*",
        ),
        (
            TIMELINE + "{since: one, channel: /a, data: {$t: '{{ x }}'}}",
            "f:6:42: the template '{{ x }}' uses the undefined name 'x'; expected one of count, ids, now, randint, ref",
        ),
        # faults
        (
            FAULT + "{exchange: none, status: 500}",
            "f:6:16: unknown exchange 'none'; expected the name of an exchange (did you mean 'one'?)",
        ),
        (
            FAULT + "{exchange: one}",
            "f:6:5: the fault has no action; expected one of broken, delay, disconnect, drop-event, duplicate-event, e",
        ),
        (FAULT + "{status: 500}", "f:6:5: the fault has no target; expected exchange: NAME or meta: /meta/…"),
        (
            FAULT + "{exchange: one, meta: /meta/connect, delay: 1s}",
            "f:6:5: the fault has two targets; expected exchange: NAME or meta: /meta/…",
        ),
        (
            FAULT + "{exchange: one, delay: 1s, status: 500}",
            "f:6:5: the fault has several actions: delay, status; expected one of broken, delay, disconnect, drop-even",
        ),
        (
            FAULT + "{exchange: one, delay: 1s, nth: 1, every: 2}",
            "f:6:40: every can't be combined with nth; expected one of nth, every, rate",
        ),
        (FAULT + "{exchange: one, delay: 1s, nth: 0}", "f:6:37: the number 0; expected a whole number, 1 or more"),
        (FAULT + "{exchange: one, delay: 1s, rate: 2}", "f:6:38: the number 2; expected a number from 0 to 1"),
        (FAULT + "{meta: /meta/conect, error: x}", "f:6:12: the text '/meta/conect'; expected /meta/handshake or"),
        (
            FAULT + "{meta: /meta/connect, drop-event: true}",
            "f:6:27: drop-event isn't possible for a meta channel; expected one of broken, delay, disconnect, error, s",
        ),
        (
            FAULT + "{meta: /meta/connect, delay: 1s, advice: {}}",
            "f:6:38: advice can't be combined with delay; expected only keys of the action",
        ),
        (
            FAULT + "{meta: /meta/connect, delay: 1s, channel: /a}",
            "f:6:38: channel needs a subscription; expected meta: /meta/subscribe or /meta/unsubscribe",
        ),
        (
            FAULT + "{exchange: one, drop_event: true}",
            "f:6:21: unknown key 'drop_event'; expected one of advice, as, body, broken, channel, delay, disconnect, d",
        ),
    ],
    ids=lambda value: value[-60:] if value.startswith("f:") else "",
)
def test_problem(text: str, problem: str) -> None:
    found = problems(text)
    assert [line for line in found if line.startswith(problem)] == found[:1]


def test_all_problems_of_all_blocks_are_reported_in_file_order() -> None:
    text = """\
cometreel: 1
titel: x
exchanges:
  - name: one
    request: {method: GET, path: /x, boddy: 1, query: {a: 1}}
    reply: {after: 5, status: 1}
  - name: two
    when: {after: tree}
    request: {method: GET, path: /y}
    events:
      - {channel: x}
faults:
  - {exchange: thre, broken: true}
"""
    assert [problem.split(": ")[0] for problem in problems(text)] == [
        "f:2:1",
        "f:5:38",
        "f:5:59",
        "f:6:20",
        "f:6:31",
        "f:8:19",
        "f:11:19",
        "f:13:16",
    ]


def test_custom_keys_start_with_x() -> None:
    loads(HEAD + "    x-note: anything\nx-team: [a, b]\n", "f")


@pytest.mark.parametrize("text", [HEAD, "cometreel: 1\n", "cometreel: 1\nexchanges:\nfaults: []\n"])
def test_optional_blocks_may_be_left_out_or_empty(text: str) -> None:
    loads(text, "f")


def test_a_newer_file_has_no_other_problems():
    newer = "f:1:12: version 2 of the format; expected version 1 "
    (problem,) = problems("cometreel: 2\nlater: 1\nexchanges: [{name: one}]")
    assert problem.startswith(newer)


def test_every_required_key_has_an_example():
    blocks = [block for block in subclasses(Block) if block.__module__.startswith("cometreel.")]
    required = {
        field.alias or name for each in blocks for name, field in each.model_fields.items() if field.is_required()
    }
    assert required - _EXAMPLES.keys() == set()


def subclasses(kind: type[Block]) -> list[type[Block]]:
    return [each for child in kind.__subclasses__() for each in (child, *subclasses(child))]


TABS = [
    "\ta: 1",
    "exchanges:\n\t- name: a",
    "a: b\n\tc: d",
    "bayeux:\n  endpoint: /a\n\tadvice: {}",
    "a:\n  - b: 1\n\t  c: 2",
]


@pytest.mark.parametrize("text", TABS)
def test_every_tab_in_the_indentation_has_a_hint(text: str):
    (problem,) = problems(f"cometreel: 1\n{text}")
    assert "(indent with spaces, not tabs" in problem
