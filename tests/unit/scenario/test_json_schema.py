"""The JSON Schema accepts and rejects the same files as loading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from cometreel.errors import FileInvalid
from cometreel.scenario import loads, schema, schema_text
from cometreel.scenario.yaml_reader import read_yaml

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "scenarios" / "scenario.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(schema())
HEAD = "cometreel: 1\nroles: {r: {}}\nexchanges:\n  - name: one\n    request: "
GET = HEAD + "{method: GET, path: /x}\n    "


def errors(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(read_yaml(text, "f").value)]


def loads_well(text: str) -> bool:
    try:
        loads(text)
    except FileInvalid:
        return False
    return True


def test_it_is_a_json_schema_and_the_shipped_file_is_the_same() -> None:
    """`cometreel schema > scenarios/scenario.schema.json` regenerates it."""
    jsonschema.Draft202012Validator.check_schema(schema())
    assert SHIPPED.read_text() == schema_text()
    assert json.loads(SHIPPED.read_text()) == schema()
    assert (ROOT / "recordings" / SHIPPED.name).read_text() == schema_text()


def shipped() -> Iterator[Path]:
    for folder in ("scenarios", "recordings", "demo"):
        yield from sorted((ROOT / folder).rglob("*.yaml"))


@pytest.mark.parametrize("path", list(shipped()), ids=lambda path: path.name)
def test_shipped_scenarios_are_valid(path: Path) -> None:
    assert errors(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "cometreel: 1\nx-own: {a: 1}",
        "cometreel: 1\ncorrelation: {extends: gws-v2, fallback: [{message: {/a: 1}, event: /id, request: map-keys}]}",
        HEAD + "{method: POST, path: {$regex: x}, query: {a: [x, {$any: string}]}, headers: {A: {$any: string}}}",
        HEAD + "{method: POST, path: [api, {$id: w-1}], query: {$partial: {a: {$csv: [{$id: w-2}, b]}}}}",
        HEAD + "{method: POST, path: /x, body: {$partial: {a: {$one-of: [1, {$capture: session.b}]}, $$any: 1}}}",
        HEAD
        + "{publish: /service/push, data: {$any: object}}\n    reply: {successful: {$t: '{{ true }}'}, ext: {a: 1}}",
        GET + "reply: {after: {$t: 5s}, status: 503, headers: {A: [x, {$t: y}]}, text: {$t: z}}",
        GET + "reply: {body: {a: {$entries: [[{$t: x}, 1], [b, {$t: y}]]}}}",
        GET + "events: [{disconnect: true, after: 5s}, {channel: {$t: /a}, batch: b, count: 3, gap: 1ms}]",
        GET + "as: [r]\n    when: {after: one, before: [one]}\n    repeat: cycle",
        GET
        + "\nfaults: [{exchange: one, status: 500, body: {a: 1}, nth: 2}, {exchange: [one], drop-event: 2, rate: 0.5}]",
        GET
        + "\nfaults: [{meta: /meta/connect, error: '402::Unknown client', advice: {reconnect: handshake}, every: 3}]",
        GET + "\ntimeline: [{since: subscribe, until: [unsubscribe], as: r, channel: /a, data: null}]",
        GET + "\ntimeline: [{since: {subscribe: /a}, until: [disconnect, {unsubscribe: /a}, one], channel: /a}]",
        GET + "events: [{channel: /a, deliver: subscribers}, {disconnect: true, deliver: r}]",
        "cometreel: 1\nbayeux: {form: true, handshake: {ext: {replay: true}, advice: {interval: 5}}}",
        "cometreel: 1\nbayeux: {handshake: {}}",
        "cometreel: 1\nsession: {credentials: ignore, anonymous: address, max_provisional: 5, when_gone: keep}",
        HEAD
        + "{method: GET, path: [x, {$capture: id}]}\nsession: {bind: [{name: n, from: $response.body#/a~1b/id, in: "
        "[$request.path.id, $request.query.id, $request.header.X-Id, '$request.body#/id', '$message#/ext/token']}]}",
        "cometreel: 1\nsession: {bind: [{from: '$response.header.Location?code', in: [$request.query.code]}]}",
    ],
)
def test_the_schema_accepts_valid_scenarios(text: str) -> None:
    assert (errors(text), loads_well(text)) == ([], True)


@pytest.mark.parametrize(
    "text",
    [
        "title: x",
        "cometreel: 2",
        "cometreel: 1\ntitel: x",
        "cometreel: 1\nbayeux: {max_interval: 10}",
        "cometreel: 1\nbayeux: {advice: {timeout: 30s}}",
        "cometreel: 1\ncorrelation: {reply: [id]}",
        "cometreel: 1\nsettings: {repeat: lost}",
        HEAD + "{method: GET}",
        HEAD + "{method: GET, path: /x?a=1}",
        HEAD + "{method: GET, path: /x, boddy: 1}",
        HEAD + "{method: GET, path: /x, query: {a: 1}}",
        HEAD + "{method: GET, path: /x, body: {$regx: x}}",
        HEAD + "{method: GET, path: /x, body: {$t: x}}",
        HEAD + "{method: GET, path: /x, body: [{$any: str}]}",
        HEAD + "{method: GET, path: /x, body: {$any: string, b: 1}}",
        HEAD + "{method: GET, path: /x, body: 1, text: x}",
        HEAD + "{publish: /a, method: GET}",
        GET + "reply: {after: 5}",
        GET + "reply: {after: 5 s}",
        GET + "reply: {status: 99}",
        GET + "reply: {body: {$any: string}}",
        GET + "reply: {successful: true}",
        GET + "reply: {body: 1, base64: eA==}",
        GET + "events: [{data: 1}]",
        GET + "events: [{channel: a/b}]",
        GET + "events: [{channel: /a, count: -1}]",
        GET + "repeat: lots",
        GET + "\nfaults: [{exchange: one}]",
        GET + "\nfaults: [{status: 500}]",
        GET + "\nfaults: [{exchange: one, delay: 1s, status: 500}]",
        GET + "\nfaults: [{exchange: one, delay: 1s, nth: 1, every: 2}]",
        GET + "\nfaults: [{meta: /meta/connect, drop-event: true}]",
        GET + "\nfaults: [{meta: /meta/connect, delay: 1s, advice: {}}]",
        GET + "\nfaults: [{exchange: one, drop_event: true}]",
        GET + "\ntimeline: [{since: {subscribe: a}, channel: /a}]",
        GET + "\ntimeline: [{since: {connect: /a}, channel: /a}]",
        GET + "\ntimeline: [{until: [], channel: /a}]",
        "cometreel: 1\nbayeux: {handshake: {data: {}}}",
        "cometreel: 1\nsession: {anonymous: all}",
        "cometreel: 1\nsession: {bind: [{from: $response.status, in: [$request.query.id]}]}",
        "cometreel: 1\nsession: {bind: [{from: $response.header.id, in: []}]}",
        "cometreel: 1\nsession: {bind: [{from: $response.header.id, in: [$request.cookie.id]}]}",
    ],
)
def test_the_schema_rejects_invalid_scenarios(text: str) -> None:
    assert (errors(text) != [], loads_well(text)) == (True, False)
