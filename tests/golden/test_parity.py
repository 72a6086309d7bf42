"""The page of parity is current, no case is worse than on it, and each reason still explains something."""

from __future__ import annotations

import pytest

from tests.golden.parity import (
    PAGE,
    REASONS,
    ParityReason,
    ReasonInvalid,
    compare_all,
    explain,
    load_reasons,
    page,
    worsened,
)

ID_NUMBER = '.json[0].id: "7" ≠ 7'
STATUS = ".status: 200 ≠ 500"
STEP = "step 0 «connect»"


def reason(*differences: str, cases: tuple[str, ...] | None = None) -> ParityReason:
    return ParityReason("4+", cases, differences, "why")


def test_the_page_is_current_and_no_case_is_worse() -> None:
    reasons = load_reasons(REASONS.read_text("utf-8"))
    new = page(compare_all(reasons), reasons)
    old = PAGE.read_text("utf-8")
    assert worsened(old, new) == []
    assert old == new, "docs/parity.md is out of date: python -m tests.golden.parity"


@pytest.mark.parametrize(
    ("differences", "reasons", "cell"),
    [
        ([], [], "equal"),
        ([STEP + STATUS], [], "different"),
        ([STEP + STATUS], [reason(r"\.status: 200 ≠ 500")], "allowed [1](#reason-1)"),
        (
            [STEP + ID_NUMBER, STEP + STATUS],
            [reason(r"\.status: 200 ≠ 500", cases=("a",)), reason(r'\.json\[0\]\.id: "\d" ≠ \d')],
            "allowed [1](#reason-1), [2](#reason-2)",
        ),
        ([STEP + ID_NUMBER, STEP + STATUS], [reason(r"\.status: 200 ≠ 500")], "different [1](#reason-1)"),
    ],
)
def test_a_case_is_allowed_if_reasons_explain_all_of_its_differences(
    differences: list[str], reasons: list[ParityReason], cell: str
) -> None:
    assert explain({"4+": {"a": differences}}, reasons)["4+"]["a"].cell() == cell


@pytest.mark.parametrize(
    ("idle", "said"),
    [
        (
            reason(r"\.status: 200 ≠ 500", cases=("a", "b")),
            "reason 1: it explains nothing in b any more; remove the case from the reason",
        ),
        (
            reason(r"\.status: 200 ≠ 500", cases=("a", "c")),
            "reason 1: there is no case c; remove it from the reason",
        ),
        (
            reason(r"\.status: 200 ≠ 500", r"\.status: 200 ≠ 404"),
            "reason 1: no difference matches '\\\\.status: 200 ≠ 404' any more; remove it from the reason",
        ),
        (
            reason(r"\.status: 200"),
            "reason 1: no difference matches '\\\\.status: 200' any more; remove it from the reason",
        ),
    ],
)
def test_a_reason_that_explains_nothing_is_an_error(idle: ParityReason, said: str) -> None:
    with pytest.raises(ReasonInvalid) as caught:
        explain({"4+": {"a": [STEP + STATUS], "b": []}}, [idle])
    assert str(caught.value) == said


def test_a_reason_for_an_unknown_subject_is_an_error() -> None:
    with pytest.raises(ReasonInvalid) as caught:
        load_reasons("reasons: [{subject: '5', cases: all, differences: [], reason: why}]")
    assert str(caught.value) == "reason 1: found subject '5'; expected one of ['3.x', '4+', 'node']"


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("equal | equal", "equal | equal", []),
        ("equal | different", "equal | allowed [1](#reason-1)", []),
        (
            "equal | equal",
            "allowed [1](#reason-1) | different",
            ["3.x was equal and is allowed", "4+ was equal and is different"],
        ),
        ("equal | allowed [1](#reason-1), [2](#reason-2)", "equal | different", ["4+ was allowed and is different"]),
    ],
)
def test_a_case_that_got_worse_is_named(old: str, new: str, lines: list[str]) -> None:
    rows = [f"| `hs_good` | {columns} | recorded | equal |\n" for columns in (old, new)]
    assert worsened(rows[0], rows[1]) == [f"hs_good: {line}" for line in lines]


def test_a_case_that_is_gone_is_named() -> None:
    assert worsened("| `hs_good` | equal | equal | recorded | equal |", "") == ["hs_good: it is no longer on the page"]
