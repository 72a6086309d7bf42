"""Any live reply can be compared without an exception, and has no differences once it is accepted."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON, same
from cometreel.scenario import dump, literal
from cometreel.scenario.yaml_writer import inline
from cometreel.verify import html_report, json_report, junit_report, report_lines, updated_files
from cometreel.verify.value_comparison import value_changes
from tests.unit.verify.fake_run import FakeRun, report_masking

NAMES = st.sampled_from(
    [
        "id",
        "a",
        "b",
        "$c",
        "$$d",
        "__e",
        "f/g",
        "userName",
        "owner",
        "name",
        "value",
        "userData",
        "referenceId",
        "subject",
        "7",
    ]
)
TEXTS = st.sampled_from(
    ["", "x", "y", "http://h.example/a", "a@b.example", "+15550100", '{"a": 1}', "{{ x }}", "é\x01"]
)
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | TEXTS
VALUES: st.SearchStrategy[JSON] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


@given(VALUES, VALUES)
def test_values_differ_exactly_if_they_are_not_the_same(one: JSON, other: JSON) -> None:
    assert (value_changes(one, other) == []) is same(one, other)


@given(VALUES)
@example({"id": "x", "userName": "x"})
@example([{"owner": "x"}, {"userName": "x"}])
def test_redacted_and_live_value_are_masked_alike(value: JSON) -> None:
    masking = report_masking()
    masking.learn_names(value)
    masking.learn_names(masking.redact(value))
    assert same(masking.mask(masking.redact(value)), masking.mask(value))


def _played(folder: Path, text: str, body: JSON, data: JSON) -> FakeRun:
    run = FakeRun(folder, text).connects().replies(0, body, 200)
    return run.notifies(data, "/c") if data is not None else run


@given(VALUES, VALUES, VALUES, VALUES)
@example([False, None, None], None, [None, True], None)  # an item removed, and the next one changed
@example([None, 0, None], None, [False, False], None)  # 0 is not false, also in an array
# an item removed and one added at the same index, but at different places of the aligned arrays
@example([None, [0, None, True]], None, [None, [None, False, 0, True]], None)
@example({"id": None}, '{"a": 1}', {"$c": None}, {})
# names that are a URL or JSON, and occur before the key `userName`
@example(None, None, ['{"a": 1}'], {"userName": '{"a": 1}'})
@example(None, None, None, {"a": ["http://h.example/a"], "userName": "http://h.example/a"})
def test_any_reply_can_be_reported_and_accepted(body: JSON, data: JSON, live_body: JSON, live_data: JSON) -> None:
    text = (
        "cometreel: 1\ncorrelation: {reply: [/referenceId], event: [/referenceId]}\nexchanges:\n"
        "  - name: a\n    request: {method: POST, path: /a}\n"
        f"    reply: {{body: {inline(literal(body))}}}\n"
        f"    events: [{{channel: /c, data: {inline(literal(data))}}}]\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = _played(folder, text, live_body, live_data)
        verdict = run.verdict()
        assert all([list(report_lines(verdict)), json_report(verdict), junit_report(verdict), html_report(verdict)])
        for _, file in updated_files(verdict, run.script.sources, run.script.scenario.profile):
            again = _played(folder, dump(file), live_body, live_data)
            assert again.lines() == []
