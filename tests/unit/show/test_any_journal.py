"""A journal with any events, such as an edited one, is shown."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from cometreel.jsonvalue import JSON
from cometreel.show import compare, page, print_comparison, print_conversation, read_conversation

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
VALUES: st.SearchStrategy[JSON] = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3))
)
CHANNELS = st.sampled_from(["/meta/connect", "/meta/handshake", "/meta/subscribe", "/service/chat", "/v2/x", "no", ""])
MESSAGES = st.fixed_dictionaries(
    {"channel": CHANNELS},
    optional={
        "id": st.sampled_from(["1", "2"]),
        "clientId": st.sampled_from(["c1", "c2"]),
        "successful": st.booleans(),
        "data": VALUES,
        "error": st.one_of(st.text(), VALUES),
        "subscription": st.one_of(st.text(), VALUES),
        "ext": VALUES,
    },
)
KINDS = ["request", "reply", "error", "open", "frame", "close", "mark", "resume", "lost", "unwanted"]
EVENTS = st.fixed_dictionaries(
    {
        "t": st.one_of(st.floats(-10, 100), st.floats(allow_nan=False, allow_infinity=False)),
        "kind": st.sampled_from(KINDS),
        "flow": st.sampled_from(["f1", "f2", "f3"]),
    },
    optional={
        "method": st.sampled_from(["GET", "POST", "", "get it"]),
        "path": st.text(),
        "query": st.text(),
        "status": st.integers(0, 1000),
        "from": st.sampled_from(["client", "server"]),
        "text": st.text(),
        "count": st.integers(),
        "who": st.dictionaries(st.text(), st.text(), max_size=2),
        "json": VALUES,
        "bayeux": st.lists(MESSAGES, max_size=3),
    },
)
HEADER = '{"journal":1,"cometreel":"0.1.0","started":1.0,"profile":"gws-v2","policy":"default"}\n'


@settings(max_examples=100)
@given(st.lists(EVENTS, max_size=8))
def test_a_journal_of_any_events_is_shown(tmp_path_factory: pytest.TempPathFactory, events: list[JSON]):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text(HEADER + "".join(json.dumps(event) + "\n" for event in events))
    found = read_conversation(path)
    console = Console(file=io.StringIO(), width=100)
    print_conversation(found, console)
    comparison = compare(found, found)
    print_comparison(comparison, console)
    assert page(found).count("</script") == page(comparison).count("</script") == 2
