"""Masking before a comparison, and redaction of reports as in a recording."""

from __future__ import annotations

from cometreel.jsonvalue import JSON, encode
from cometreel.recording import load_policy
from cometreel.scenario.matchers import MISSING
from cometreel.verify import ReportMasking
from tests.unit.verify.fake_run import KEY, report_masking

LIVE: JSON = {
    "userName": "ann.archer",
    "uri": "http://10.0.0.7:8080/api/v2/users/28383e5523c7479cae4afa8df88d66df",
    "userData": {"WWE_PARTY_5550100": "Carla Cole"},
    "clientId": "5k2abcdefghijk",
    "note": "call ann.archer@company.example",
    "Count": 3,
}


def test_redacted_value_has_no_personal_data() -> None:
    shown = encode(report_masking().redact(LIVE)).decode()
    private = ["archer", "10.0.0.7", "5550100", "Carla", "5k2abc", "company"]
    assert [word for word in private if word in shown] == []
    assert '"Count":3' in shown


def test_secret_is_redacted_everywhere() -> None:
    masking = report_masking()
    masking.add_secret("archer-secret")
    assert masking.redact({"echo": "you sent archer-secret"}) == {"echo": "you sent hidden"}


def test_live_value_and_pseudonym_are_masked_alike() -> None:
    masking = report_masking()
    assert masking.mask(masking.redact(LIVE)) == masking.mask(LIVE)


def test_identifiers_are_not_masked() -> None:
    value: JSON = {"id": "28383e5523c7479cae4afa8df88d66df", "workbinName": "Drafts", "Owner": "Place1"}
    assert report_masking().mask(value) == value


def test_value_at_a_path_of_the_masked_value() -> None:
    masking = report_masking()
    assert masking.value_at({"userData": {"WWE_PARTY_77": [1, 2]}}, ("userData", "WWE_PARTY_*", 1)) == 2
    assert masking.value_at({"a": [1]}, ("a", 1)) is MISSING
    assert masking.value_at({"a": [1]}, ("b",)) is MISSING
    assert masking.value_at({"a": 1}, ("a", "b")) is MISSING


def test_json_inside_a_string_is_masked_as_json() -> None:
    masking = report_masking()
    assert masking.mask({"x": '{"userName":"ann"}'}) == masking.mask({"x": '{"userName": "ben"}'})
    assert masking.mask({"x": '{"Count":1}'}) != masking.mask({"x": '{"Count":2}'})


def test_known_name_is_masked_where_no_rule_applies() -> None:
    """The recording has the pseudonym of the live name; both were learned under a key that the policy names."""
    masking = report_masking()
    masking.learn_names({"userName": "dapepomoba"})
    masking.learn_names({"userName": "ann.archer"})
    assert masking.mask({"agent": "dapepomoba"}) == masking.mask({"agent": "ann.archer"})
    assert masking.mask({"agent": "dapepomoba"}) != masking.mask({"agent": "nobody"})


def test_an_identifier_that_is_a_user_is_masked_until_a_client_sends_it() -> None:
    masking = report_masking()
    for name in ("dapepomoba", "ann", "bob"):
        masking.learn_names({"userName": name})
    recorded, ann, bob = (masking.mask({"Owner": name}) for name in ("dapepomoba", "ann", "bob"))
    assert recorded == ann == bob
    assert masking.mask({"Owner": "dapepomoba"}) != masking.mask({"Owner": "nobody"})
    masking.learn_sent(["ann"])
    assert masking.mask({"Owner": "ann"}) == {"Owner": "ann"} != masking.mask({"Owner": "bob"})


def test_strict_policy_masks_identifiers() -> None:
    strict = ReportMasking(load_policy("strict"), KEY)
    value: JSON = {
        "id": "861640a2-5e11-4c0b-b0a7-93d2c1f4e501",
        "workbinName": "Drafts",
        "see": "/w/861640a2-5e11-4c0b-b0a7-93d2c1f4e501",
        "workbinStats": {
            "861640a2-5e11-4c0b-b0a7-93d2c1f4e501": {"Count": 1, "Owner": "Place1"},
            "861640a2-5e11-4c0b-b0a7-93d2c1f4e502": {"Count": 2, "Owner": "Place2"},
        },
    }
    shown = strict.redact(value)
    assert shown != value
    assert strict.mask(shown) == strict.mask(value)
    assert strict.value_at(shown, ("workbinStats", "(id) 2", "Count")) == 2
    assert strict.mask({"id": 7}) != strict.mask({"id": "7"})
