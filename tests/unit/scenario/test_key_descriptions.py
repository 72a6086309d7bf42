"""Every key of a scenario has a description."""

from __future__ import annotations

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario.json_schema import schema
from cometreel.scenario.key_descriptions import KEY_DESCRIPTIONS


def _object(value: JSON) -> JSONObject:
    assert isinstance(value, dict)
    return value


def test_each_key_of_each_block_has_a_description():
    found = schema()
    blocks = {"Scenario": found, **_object(found["$defs"])}
    written = {name: _object(block) for name, block in blocks.items()}
    keys = {
        name: set(_object(block["properties"])) for name, block in written.items() if "additionalProperties" in block
    }
    assert {name: set(descriptions) for name, descriptions in KEY_DESCRIPTIONS.items()} == {
        name: names for name, names in keys.items() if not any(key.startswith("$") for key in names)
    }


def test_descriptions_are_one_line_and_end_with_a_full_stop():
    descriptions = [description for keys in KEY_DESCRIPTIONS.values() for description in keys.values()]
    assert [description for description in descriptions if not description.endswith(".") or "\n" in description] == []


def test_an_editor_gets_the_description():
    exchange = _object(_object(schema()["$defs"])["ExchangeBlock"])
    assert (
        _object(_object(exchange["properties"])["name"])["description"]
        == "The name of the exchange, unique in the scenario."
    )
