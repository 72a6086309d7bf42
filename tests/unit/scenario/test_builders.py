"""The functions that build blocks: an argument for each key, and errors at the position of the call."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from cometreel import markers
from cometreel.errors import FileInvalid, Problem
from cometreel.scenario import (
    AdviceBlock,
    BayeuxBlock,
    BindBlock,
    CorrelationBlock,
    EventBlock,
    ExchangeBlock,
    FallbackBlock,
    FaultBlock,
    HandshakeBlock,
    PublishBlock,
    ReplyBlock,
    RequestBlock,
    RoleBlock,
    Scenario,
    ScenarioBlock,
    SessionBlock,
    SettingsBlock,
    SourceBlock,
    TimelineBlock,
    WhenBlock,
    section_options,
)
from cometreel.scenario import builders as build
from cometreel.scenario.model import Block

HERE = str(Path(__file__))

FUNCTIONS: dict[Callable[..., Block], type[Block]] = {
    build.bind: BindBlock,
    build.event: EventBlock,
    build.exchange: ExchangeBlock,
    build.fault: FaultBlock,
    build.publish: PublishBlock,
    build.reply: ReplyBlock,
    build.request: RequestBlock,
    build.role: RoleBlock,
    build.timeline_entry: TimelineBlock,
    build.when: WhenBlock,
}
WITH_METHOD = [build.get, build.delete, build.post, build.put, build.patch]
BODIES = {"body", "form", "text", "base64"}
OPTIONS = {
    section_options.AdviceOptions: AdviceBlock,
    section_options.BayeuxOptions: BayeuxBlock,
    section_options.CorrelationOptions: CorrelationBlock,
    section_options.FallbackOptions: FallbackBlock,
    section_options.HandshakeOptions: HandshakeBlock,
    section_options.SessionOptions: SessionBlock,
    section_options.SettingsOptions: SettingsBlock,
    section_options.SourceOptions: SourceBlock,
}


def arguments(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters) - {"custom"}


def test_each_function_is_compared_with_its_block():
    assert {function.__name__ for function in (*FUNCTIONS, *WITH_METHOD)} == set(build.__all__)


@pytest.mark.parametrize(("function", "block"), FUNCTIONS.items(), ids=lambda each: each.__name__)
def test_a_function_has_an_argument_for_each_key_of_its_block(function: Callable[..., Block], block: type[Block]):
    renamed = {"channel": "publish"} if block is PublishBlock else {}
    assert {renamed.get(name, name) for name in arguments(function)} == set(block.model_fields)


@pytest.mark.parametrize("function", WITH_METHOD, ids=lambda each: each.__name__)
def test_the_functions_of_methods_have_the_arguments_of_request(function: Callable[..., Block]):
    without = {"method"} if function not in (build.get, build.delete) else {"method", *BODIES}
    assert arguments(function) == arguments(build.request) - without


@pytest.mark.parametrize(("options", "block"), OPTIONS.items(), ids=lambda each: each.__name__)
def test_the_options_of_a_section_have_the_keys_of_its_block(options: type, block: type[Block]):
    assert set(typing.get_type_hints(options)) == set(block.model_fields)


def test_scenario_has_an_argument_for_each_key():
    """The signature exists for type checkers and editors only."""
    nodes = ast.walk(ast.parse(inspect.getsource(Scenario)))
    signature = next(node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    names = {argument.arg for argument in signature.args.kwonlyargs} - {"custom"}
    assert names == set(ScenarioBlock.model_fields)


# ---------------------------------------------------------------- values


def test_values_are_written_as_in_yaml():
    block = build.post(
        ["api", "v2", markers.capture("place")],
        query={"fields": ("a", "b")},
        body={"kind": markers.one_of("a", markers.any("number")), "items": (1, 2.5, None)},
        custom={"x-note": "own"},
    )
    written = RequestBlock.model_validate(
        {
            "method": "POST",
            "path": ["api", "v2", {"$capture": "place"}],
            "query": {"fields": ["a", "b"]},
            "body": {"kind": {"$one-of": ["a", {"$any": "number"}]}, "items": [1, 2.5, None]},
            "x-note": "own",
        }
    )
    assert block == written


def test_none_is_null_for_a_body_and_left_out_otherwise():
    assert build.reply(None, status=None).model_fields_set == {"body"}
    assert build.reply().model_fields_set == set()


def test_durations_may_be_timedeltas_and_binary_bodies_bytes():
    assert build.event("/a", after=timedelta(milliseconds=34)).after == "34ms"
    assert build.reply(base64=b"\x00\xff").base64 == "AP8="


def test_a_later_change_of_a_value_does_not_change_the_block():
    body = {"list": [1]}
    block = build.reply(body)
    body["list"].append(2)
    assert block.body == {"list": [1]}


def test_data_files_are_in_the_folder_of_the_python_file():
    block = build.post("/a", body={"page": markers.file("data_files/value.json")})
    assert block.body == {"page": {"list": [1, {"$any": "string"}], "text": "a", "$$key": None}}
    assert build.post("/a", text=markers.file("data_files/text.html")).text == "<p>\n ü\u2028\n"


def test_blocks_are_equal_if_their_contents_are():
    assert build.reply({"a": 1}) == build.reply({"a": 1.0})
    assert build.reply({"a": 1}) != build.reply({"a": True})
    assert build.reply(None) != build.reply()
    assert build.get("/a", custom={"x-a": 1}) != build.get("/a", custom={"x-a": 2})


def test_a_changed_copy_of_a_block_keeps_its_position():
    block = build.exchange("a", build.get("/a"))
    copied = block.model_copy(update={"name": "b"})
    assert (copied.name, copied.origin) == ("b", block.origin)
    assert block.origin is not None


# ---------------------------------------------------------------- errors


def problem(function: Callable[[], object]) -> Problem:
    with pytest.raises(FileInvalid) as caught:
        function()
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (
            lambda: build.post("/x", body={"a": [markers.any("strin")]}),  # type: ignore[arg-type]  # the wrong argument is the subject
            (
                "body.a[0].$any: the text 'strin'; expected one of string, number, integer, boolean, object, array, "
                "null, anything (did you mean 'string'?)"
            ),
        ),
        (
            lambda: build.reply({"a": markers.any()}),  # type: ignore[dict-item]  # the wrong argument is the subject
            "body.a: $any isn't allowed in a reply or an event; expected one of $csv, $entries, $id, $t",
        ),
        (
            lambda: build.reply(after="5"),
            "after: the text '5'; expected a duration such as 120ms, 5s or 1m",
        ),
        (
            lambda: build.event("/a", after=timedelta(seconds=-1)),
            "after: -1.0 is not a duration in seconds; expected a duration from 0 to a year",
        ),
        (
            lambda: build.reply({"a": object()}),  # type: ignore[dict-item]  # the wrong argument is the subject
            (
                "body.a: a value of the type object; expected text, a number, true, false, None, a list, a mapping "
                "or a marker"
            ),
        ),
        (
            lambda: build.reply({"a": timedelta(1)}),  # type: ignore[dict-item]  # the wrong argument is the subject
            (
                "body.a: a value of the type timedelta; expected text, a number, true, false, None, a list, a mapping "
                "or a marker"
            ),
        ),
        (
            lambda: build.reply({1: 2}),  # type: ignore[dict-item]  # the wrong argument is the subject
            "body: the key 1 isn't text; expected text",
        ),
        (
            lambda: build.exchange("a", build.get("/"), as_=[7]),  # type: ignore[list-item]  # the wrong argument is the subject
            "as_[0]: the number 7; expected a name or a list of names",
        ),
        (
            lambda: build.exchange("a", {"path": "/"}),  # type: ignore[arg-type]  # the wrong argument is the subject
            "request: request has no `method`; add one, for example `method: POST`",
        ),
        (
            lambda: build.exchange("a", build.publish("/chat"), reply=build.reply(status=200)),
            "reply: status isn't allowed in the reply to a publish; expected one of data, error, ext, successful",
        ),
        (
            lambda: build.fault("a", nth=1, every=2, disconnect=True),
            "every can't be combined with nth; expected one of nth, every, rate",
        ),
        (
            lambda: build.role("a", custom={"note": 1}),
            "custom: the key 'note'; expected a key that starts with x-",
        ),
        (
            lambda: build.reply(markers.file("../test_builders.py")),
            (
                "the data file '../test_builders.py' is outside of the folder of the scenario; expected the path of a "
                "file in the folder of the scenario, for example desktop/body-1.json"
            ),
        ),
        (
            lambda: Scenario(exchnages=[]),  # type: ignore[call-arg]  # the wrong argument is the subject
            (
                "unknown key 'exchnages'; expected one of bayeux, cometreel, correlation, exchanges, faults, ignore, "
                "reply_headers, roles, session, settings, source, timeline, title (did you mean 'exchanges'?)"
            ),
        ),
        (
            lambda: Scenario(bayeux={"advice": {"timeout": "30s"}}),  # type: ignore[arg-type]  # the wrong argument is the subject
            "bayeux.advice.timeout: the text '30s'; expected a whole number",
        ),
        (
            lambda: Scenario(bayeux={"endpont": "/"}),  # type: ignore[arg-type]  # the wrong argument is the subject
            (
                "bayeux: unknown key 'endpont'; expected one of ack, advice, deliver, dialect, endpoint, form, "
                "handshake, max_interval, max_message_bytes, max_queue, max_sessions_per_browser, "
                "meta_connect_deliver_only, multi_session_interval, on_hangup, require_cookie, "
                "transports (did you mean 'endpoint'?)"
            ),
        ),
        (
            lambda: Scenario(exchanges=["x"]),  # type: ignore[list-item]  # the wrong argument is the subject
            "exchanges[0]: the text 'x'; expected exchange(…)",
        ),
        (
            lambda: build.exchange("a", "GET /"),  # type: ignore[arg-type]  # the wrong argument is the subject
            "request: the text 'GET /'; expected get(…), post(…), request(…) or publish(…)",
        ),
        (
            lambda: build.exchange("a", build.get("/"), events=build.event("/a")),  # type: ignore[arg-type]  # the wrong argument is the subject
            "events: a value of the type EventBlock; expected a list",
        ),
        (
            lambda: build.exchange("a", build.get("/"), reply=build.event("/a")),  # type: ignore[arg-type]  # the wrong argument is the subject
            "reply: a value of the type EventBlock; expected reply(…)",
        ),
    ],
    ids=lambda each: each.partition(";")[0] if isinstance(each, str) else "",
)
def test_an_invalid_argument_is_an_error_with_the_position_of_the_call(function: Callable[[], object], text: str):
    found = problem(function)
    assert str(found).partition(": ")[2] == text
    assert (found.file, found.line) == (HERE, call_line(function))
    assert found.column > 1


def call_line(function: Callable[[], object]) -> int:
    lines = {line for line, _, column, _ in function.__code__.co_positions() if line and column}
    return min(lines)


def test_line_and_column_are_those_of_the_call():
    found = problem(lambda: (1, build.reply(after="5")))
    line = Path(HERE).read_text().splitlines()[found.line - 1]
    assert line[found.column - 1 :].startswith('build.reply(after="5")')


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        ('{\n  "b":\n}', 3, "the data file sent.json isn't JSON: Expecting value"),
        ('{\n  "a": {"$any": "string"}\n}', 2, "$any isn't allowed in a reply or an event"),
    ],
)
def test_an_error_in_a_data_file_has_its_position(tmp_path: Path, content: str, line: int, found: str):
    (tmp_path / "sent.json").write_text(content)
    caught = problem(lambda: run(tmp_path / "built.py", "build.reply(markers.file('sent.json'))"))
    assert (caught.file, caught.line, caught.found) == (str(tmp_path / "sent.json"), line, found)


def run(path: Path, text: str) -> object:
    path.write_text(text)
    return eval(compile(text, str(path), "eval"), {"build": build, "markers": markers, "Scenario": Scenario})


# ---------------------------------------------------------------- positions


def test_compiled_parts_have_the_positions_of_their_blocks():
    line = inspect.currentframe().f_lineno  # type: ignore[union-attr]  # CPython has frames
    exchange = build.exchange(
        "a",
        build.get("/a"),
        reply=build.reply({"user": markers.template("{{ user.id }}")}),
        events=[build.event(markers.template("/v2/{{ user.id }}"))],
    )
    entry = build.timeline_entry("/v2/me/a")
    fault = build.fault("a", disconnect=True)
    compiled = Scenario(exchanges=[exchange], timeline=[entry], faults=[fault]).compiled()
    (played,) = compiled.exchanges
    assert played.reply is not None
    positions = [played.position, played.reply.position, played.events[0].position]
    positions += [compiled.timeline[0].position, compiled.faults[0].position]
    assert [(each.file, each.line - line) for each in positions if each is not None] == [
        (HERE, n) for n in (1, 4, 5, 7, 8)
    ]


def test_the_positions_of_thousands_of_calls_in_one_module_are_read_once():
    count = 3000
    text = "[\n" + "".join(f"build.get('/{number}'),\n" for number in range(count)) + "]"
    blocks = eval(compile(text, "many.py", "eval"), {"build": build})
    assert [block.origin.position(()) for block in blocks] == [("many.py", number + 2, 1) for number in range(count)]


class _Kind(Enum):
    PLACE = "Place"


class _Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not the text"


def test_texts_and_numbers_of_subclasses_are_written_as_texts_and_numbers():
    body: dict[Any, Any] = {_Kind.PLACE: _Name("Place1"), _Name("kind"): _Kind.PLACE}
    assert repr(build.reply(body).body) == "{'Place': 'Place1', 'kind': 'Place'}"


@pytest.mark.parametrize("content", [b"\x00\x01", bytearray(b"\x00\x01"), memoryview(b"\x00\x01")])
def test_binary_values_are_binary_bodies_but_not_json(content: bytes):
    assert build.reply(base64=content).base64 == "AAE="
    with pytest.raises(FileInvalid, match=f"body: a value of the type {type(content).__name__}; expected text"):
        build.reply(content)


@pytest.mark.parametrize("place", [lambda value: value, lambda value: {"a": [value]}])
def test_a_block_is_not_json(place: Callable[[object], Any]):
    for block in (build.get("/a"), build.event("/a"), build.exchange("a", build.get("/a"))):
        with pytest.raises(FileInvalid, match=f"a value of the type {type(block).__name__}; expected text"):
            build.reply(place(block))
        with pytest.raises(FileInvalid, match=f"a value of the type {type(block).__name__}; expected text"):
            build.post("/a", body=place(block))


def test_an_integer_that_python_does_not_convert_to_text_is_an_error():
    with pytest.raises(FileInvalid, match=r"body\.a: a number with thousands of digits; expected at most 4300 digits"):
        build.reply({"a": 10**5000})


def test_custom_is_a_mapping():
    with pytest.raises(FileInvalid, match="custom: the number 5; expected a mapping with keys that start with x-"):
        build.exchange("a", build.get("/a"), custom=5)  # type: ignore[arg-type]  # a wrong type is tested


def test_the_traceback_of_an_error_ends_in_the_test():
    for function in (
        lambda: build.reply(after="34"),
        lambda: build.post("/a", body={"$no": 1}),
        lambda: Scenario(exchanges=[build.exchange("a", build.get("/a"))] * 2).compiled(),
        lambda: Scenario.loads("cometreel: 2"),
        lambda: Scenario.load("none.yaml"),
    ):
        with pytest.raises(FileInvalid) as caught:
            function()
        assert [Path(entry.path) for entry in caught.traceback.filter(caught)] == [Path(__file__)] * 2


def test_a_block_can_not_be_changed():
    block = build.reply({"a": 1})
    with pytest.raises(AttributeError, match="body of this ReplyBlock can't be changed; build a new one"):
        block.body = 2  # type: ignore[misc]  # a frozen attribute
