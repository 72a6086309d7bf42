"""Strategies for scenarios that are built in Python: every function, every argument and every marker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, TypeAlias

from hypothesis import strategies as st

from cometreel import markers
from cometreel.scenario import ExchangeBlock, FaultBlock, Scenario, TimelineBlock
from cometreel.scenario import builders as build

__all__ = ["python_scenarios"]

Strategy: TypeAlias = st.SearchStrategy[Any]

ROLES = {"agent-1": build.role("user-1", id="1"), "agent-2": build.role(custom={"x-note": ["of a recording"]})}
texts = st.sampled_from(["", "No", "0123", "a\nb\n", " a", "\u2028", "ü", "$t", "<<", "12:30:45", "Place1"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
)
words = st.sampled_from(["a", "Place1", "0123", "No", "ü", "two words"])
scalars: Strategy = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts


def trees(leaves: Strategy, keys: Strategy = texts) -> Strategy:
    def grown(inner: Strategy) -> Strategy:
        return st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=3)

    return st.recursive(leaves, grown, max_leaves=6)


def calls(function: Callable[..., Any], required: Mapping[str, Strategy], **optional: Strategy) -> Strategy:
    """Return the results of a function with any of its optional arguments."""
    return st.fixed_dictionaries(dict(required), optional=optional).map(lambda given: function(**given))


json_values = trees(scalars).map(markers.literal)
objects = st.dictionaries(texts, scalars, max_size=3).map(markers.literal)
literal_keys = texts.filter(lambda key: not key.startswith("$"))
custom = st.dictionaries(st.sampled_from(["x-own", "x-other"]), trees(scalars), max_size=2)
lists_of_words = st.lists(words, min_size=1, max_size=2)

text_markers: Strategy = st.sampled_from(
    [
        markers.any("string"),
        markers.any(),
        markers.regex(r"^(?P<digits>\d+)$"),
        markers.one_of("a", markers.regex("b")),
        markers.capture("place"),
        markers.capture("session.owner"),
        markers.id("place-1"),
        markers.csv("a", markers.any("string")),
    ]
)
patterns = trees(
    scalars | text_markers | json_values.map(lambda value: markers.one_of(value, markers.any("object"))), literal_keys
)
patterns = patterns | st.dictionaries(literal_keys, patterns, max_size=3).map(markers.partial)
patterns = patterns | st.just(markers.file("data_files/value.json"))
text_patterns = words | text_markers
fields: Strategy = st.dictionaries(words, text_patterns | st.lists(text_patterns, min_size=1, max_size=2), max_size=2)
fields = fields | fields.map(markers.partial)

sent_texts = st.just(markers.template("{{ request.body }} of {{ user.id }}")) | st.just(markers.id("place-1"))
sent: Strategy = trees(
    scalars
    | sent_texts
    | st.just(markers.csv("a", markers.template("{{ ref }}")))
    | st.tuples(words | sent_texts, json_values).map(markers.entries),
    literal_keys,
)
sent = sent | st.just(markers.file("data_files/sent.json"))
durations = st.sampled_from(["0s", "34ms", "1.5m"]) | st.integers(0, 10**7).map(lambda us: timedelta(microseconds=us))
sent_durations = durations | st.just(markers.template("{{ randint(1, 9) }}ms"))
header_values = words.filter(str.isascii) | st.just(markers.template("{{ ref }}"))
own_headers = st.dictionaries(
    st.sampled_from(["X-A", "x-b"]), header_values | st.none() | st.lists(header_values, min_size=1)
)

bodies = st.one_of(
    st.fixed_dictionaries({"body": patterns}),
    st.fixed_dictionaries({"form": fields}),
    st.fixed_dictionaries({"text": text_patterns | st.just(markers.file("data_files/text.html"))}),
    st.fixed_dictionaries({"base64": st.binary(max_size=9) | st.just(markers.file("data_files/logo.png"))}),
    st.just({}),
)
paths = st.sampled_from(
    ["/api/v2/me/a", "/b", markers.regex("^/c"), ["api", "v2", markers.capture("place")], ("d", "e")]
)
matched = st.fixed_dictionaries(
    {"path": paths},
    optional={
        "query": fields,
        "headers": st.dictionaries(st.sampled_from(["X-A", "content-type"]), text_patterns, max_size=2),
        "authenticated": st.booleans(),
        "custom": custom,
    },
)
requests = st.one_of(
    st.tuples(st.sampled_from([build.get, build.delete]), matched, st.just({})),
    st.tuples(st.sampled_from([build.post, build.put, build.patch]), matched, bodies),
).map(lambda call: call[0](**call[1], **call[2]))
requests = requests | st.builds(lambda given, body: build.request("OPTIONS", **given, **body), matched, bodies)
publishes = calls(
    build.publish,
    {"channel": st.sampled_from(["/service/chat", markers.regex("^/chat")])},
    data=patterns,
    ext=patterns,
    authenticated=st.booleans(),
    custom=custom,
)

contents = st.one_of(
    st.fixed_dictionaries({"body": sent}),
    st.fixed_dictionaries({"text": texts | sent_texts | st.just(markers.file("data_files/text.html"))}),
    st.fixed_dictionaries({"base64": st.binary(max_size=9) | st.just(markers.file("data_files/logo.png"))}),
    st.just({}),
)
reply_keys = st.fixed_dictionaries(
    {},
    optional={
        "after": sent_durations,
        "status": st.sampled_from([200, HTTPStatus.CONFLICT, markers.template("{{ 404 }}")]),
        "headers": own_headers,
        "custom": custom,
    },
)
replies = st.builds(lambda given, content: build.reply(**given, **content), reply_keys, contents)
publish_replies = calls(
    build.reply,
    {},
    after=sent_durations,
    successful=st.booleans() | st.just(markers.template("{{ true }}")),
    error=texts | sent_texts,
    data=sent,
    ext=sent,
    custom=custom,
)

event_arguments = {
    "channel": st.sampled_from(["/v2/me/workbins", "/ü", markers.template("/of/{{ user.id }}")]),
    "data": sent,
    "after": sent_durations,
    "ext": sent,
    "deliver": st.sampled_from(["asker", "subscribers", "all", *ROLES]),
    "batch": words | sent_texts,
    "count": st.integers(0, 3) | st.just(markers.template("{{ 2 }}")),
    "gap": sent_durations,
    "disconnect": st.just(False) | st.just(markers.template("{{ false }}")),
    "custom": custom,
}
channel = {"channel": event_arguments["channel"]}
events = calls(build.event, channel, **{name: each for name, each in event_arguments.items() if name != "channel"})
ends = calls(
    build.event, {"disconnect": st.just(True)}, after=sent_durations, deliver=st.sampled_from(["asker", "all"])
)
roles = st.sampled_from([*ROLES, [*ROLES], ("agent-1",)])
repeats: Strategy = st.sampled_from(["last", "cycle", "fail"])
BIND = build.bind("$response.body#/token", ["$request.query.token"], name="token", custom={"x-own": 1})


@st.composite
def exchanges(draw: st.DrawFn, name: str, names: list[str]) -> ExchangeBlock:
    is_publish = draw(st.booleans())
    optional: dict[str, Strategy] = {
        "reply": publish_replies if is_publish else replies,
        "events": st.lists(events | ends, max_size=2),
        "as_": roles,
        "when": calls(
            build.when, {}, after=st.sampled_from(names), before=st.lists(st.sampled_from(names), min_size=1)
        ),
        "custom": custom,
    }
    request = publishes if is_publish else requests
    block: ExchangeBlock = draw(calls(build.exchange, {"name": st.just(name), "request": request}, **optional))
    return block


@st.composite
def entries(draw: st.DrawFn, names: list[str]) -> TimelineBlock:
    anchors: Strategy = st.sampled_from([*names, "handshake", {"subscribe": "/v2/me/*"}, {"unsubscribe": "/a"}])
    more = {name: each for name, each in event_arguments.items() if name != "channel"}
    until = anchors | st.lists(anchors, min_size=1, max_size=2)
    block: TimelineBlock = draw(calls(build.timeline_entry, channel, since=anchors, until=until, as_=roles, **more))
    return block


@st.composite
def faults(draw: st.DrawFn, names: list[str]) -> FaultBlock:
    which = st.sampled_from([True, 1, "/v2/me/workbins"])
    of_meta: list[Strategy] = [
        st.fixed_dictionaries({"error": texts}, optional={"advice": objects, "ext": objects}),
        st.fixed_dictionaries({"broken": st.just(True)}),
        st.fixed_dictionaries({"disconnect": st.just(True)}),
        st.fixed_dictionaries({"delay": durations}),
        st.fixed_dictionaries({"status": st.just(503)}, optional={"headers": st.just({"X-A": "b"}), "text": texts}),
        st.fixed_dictionaries({"status": st.just(503), "body": json_values}),
    ]
    of_exchange = [st.fixed_dictionaries({key: which}) for key in ("drop_event", "duplicate_event")]
    targets: list[dict[str, Any]] = [
        {"exchange": names[0]},
        {"exchange": names},
        {"meta": "/meta/connect"},
        {"meta": "/meta/subscribe", "channel": "/a/**"},
    ]
    target = draw(st.sampled_from(targets))
    frequency: dict[str, Any] = draw(st.sampled_from([{}, {"nth": 2}, {"every": 3}, {"rate": 0.5}]))
    action: dict[str, Any] = draw(st.one_of(of_meta if "meta" in target else [*of_meta, *of_exchange]))
    block: FaultBlock = draw(calls(lambda **more: build.fault(**target, **frequency, **action, **more), {}, as_=roles))
    return block


BAYEUX: dict[str, Strategy] = {
    "endpoint": st.just("/cometd"),
    "advice": st.fixed_dictionaries({}, optional={"timeout": st.just(30000), "interval": st.just(0)}),
    "max_interval": durations,
    "max_sessions_per_browser": st.integers(-1, 3),
    "multi_session_interval": durations,
    "on_hangup": st.sampled_from(["keep", "lose"]),
    "deliver": st.sampled_from(["all", "subscribed"]),
    "dialect": st.sampled_from(["3.x", "4+"]),
    "transports": st.sampled_from([["long-polling"], ("websocket", "callback-polling")]),
    "max_queue": st.just(1),
    "max_message_bytes": st.just(1),
    "handshake": st.fixed_dictionaries({}, optional={"ext": objects, "advice": objects}),
    **dict.fromkeys(("meta_connect_deliver_only", "ack", "require_cookie", "form"), st.booleans()),
}
SESSION: dict[str, Strategy] = {
    "cookie": st.just("none"),
    "credentials": st.sampled_from(["use", "ignore"]),
    "anonymous": st.sampled_from(["one", "address", "each"]),
    "max_provisional": st.just(7),
    "max_idle": durations,
    "when_gone": st.sampled_from(["drop", "keep"]),
    "bind": st.just([BIND]),
}
SETTINGS: dict[str, Strategy] = {
    "seed": st.integers() | words,
    "speed": st.sampled_from([0, 2.5]),
    "repeat": repeats,
    "unmatched": st.sampled_from(["fail", "forward"]),
    "auth": st.sampled_from(["open", "session", "csrf"]),
    "cors": st.sampled_from(["*", ["http://localhost:3000"]]),
}
CORRELATION: dict[str, Strategy] = {
    "extends": st.just("gws-v2"),
    "name": words,
    **dict.fromkeys(("reply", "map", "event", "request", "volatile", "owner", "owner_type"), st.just(["/ref"])),
    "fallback": st.just([{"message": {"/type": 1}, "event": "/a", "request": ["path-tail"], "operations": ["x"]}]),
    "window": durations,
    "operation": st.just("/operationName"),
}


@st.composite
def python_scenarios(draw: st.DrawFn) -> Scenario:
    """Draw a scenario that compiles."""
    names = ["log in", *draw(st.lists(words, unique=True, max_size=3))]
    binding = build.exchange("log in", build.post("/login", body={"id": markers.id("place-1")}), repeat=draw(repeats))
    blocks = [draw(exchanges(name, names)) for name in names[1:]]
    sections: dict[str, Strategy] = {
        "title": texts,
        "source": st.just({"recorded": datetime(2026, 11, 23, tzinfo=UTC), "upstream": "gws"}),
        "bayeux": st.fixed_dictionaries({}, optional=BAYEUX),
        "session": st.fixed_dictionaries({}, optional=SESSION),
        "correlation": st.just("workspace-v3") | st.fixed_dictionaries({}, optional=CORRELATION),
        "ignore": st.just(["/a/*"]),
        "settings": st.fixed_dictionaries({}, optional=SETTINGS),
        "reply_headers": st.just({"X-A": "common", "X-C": [markers.template("{{ ref }}"), "b"]}),
        "timeline": st.lists(entries(names), max_size=2),
        "faults": st.lists(faults(names), max_size=2),
        "custom": custom,
    }
    given: dict[str, Any] = {"roles": ROLES, "exchanges": [binding, *blocks]}
    found: Scenario = draw(calls(partial(Scenario, **given), {}, **sections))
    return found
