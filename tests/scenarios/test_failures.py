"""Failures are as documented."""

from __future__ import annotations

from cometreel.jsonvalue import JSONObject
from tests.scenarios.conftest import Begin
from tests.scenarios.words import STATS, TOPIC, accepted


def test_the_workbin_chooses_the_status_code(begin: Begin) -> None:
    talk = begin("failures.yaml")
    agent = talk.client()
    for code in (1, 2, 3, 4, 5, 6, 18, 19, 20):
        agent.sends("POST", f"/api/v2/me/workbins/861640a2-7c64-4c0b-9d7e-1f6f0c5a0e{code:02}", STATS)
    heard = [(status, body["statusCode"]) for _, status, body in agent.received if isinstance(body, dict)]
    statuses = (400, 400, 403, 500, 403, 404, 409, 409, 403)
    assert heard == list(zip(statuses, (1, 2, 3, 4, 5, 6, 18, 19, 20), strict=True))
    agent.received.clear()


def test_a_failed_voice_operation_is_notified_too_even_before_its_reply(begin: Begin) -> None:
    talk = begin("failures.yaml")
    agent = talk.client().connects("/v2/me/*")
    agent.sends("POST", "/api/v2/me/devices/7001", {"operationName": "Answer"})
    talk.at(1.0)
    metrics: JSONObject = {
        "nodeProcessingTimeNanos": 1250000,
        "serverGenerationTimestamp": 1505239540000,
        "serverProcessingTimeTotalMs": -1,
    }
    notified: JSONObject = {"messageType": "ErrorMessage", "deviceUri": "http://replay:1/api/v2/devices/7001"}
    notified |= {"devicePath": "/devices/7001", "metrics": {"eventProcessing": metrics}}
    agent.receives(
        (0.019, "/v2/me/devices", notified),
        (0.023, 500, {"statusCode": 4, "statusMessage": "Device '7001' is not registered."}),
    )


def test_a_statistics_request_can_have_no_notification(begin: Begin) -> None:
    talk = begin("failures.yaml")
    agent = talk.client().connects(TOPIC)
    agent.sends("POST", "/api/v2/workbins/861640a2-7c64-4c0b-9d7e-1f6f0c5a0a03", {"operationName": "RequestStats"})
    talk.at(600.0)
    agent.receives((0.034, 200, accepted(23)))


def test_a_pull_that_fails_names_the_interaction_that_was_asked_for(begin: Begin) -> None:
    talk = begin("failures.yaml")
    agent = talk.client().connects("/v2/me/workitems")
    body: JSONObject = {"operationName": "PullWorkitem", "id": "00016AB14RQD00ZZ"}
    agent.sends("POST", "/api/v2/workbins/861640a2-7c64-4c0b-9d7e-1f6f0c5a0a02", body)
    talk.at(1.0)
    failed: JSONObject = {"messageType": "WorkitemStateChangeMessage", "notificationType": "Error"}
    failed |= {"workitem": {"id": "00016AB14RQD00ZZ"}, "referenceId": 22}
    agent.receives((0.034, 200, accepted(22)), (0.12, "/v2/me/workitems", failed))
