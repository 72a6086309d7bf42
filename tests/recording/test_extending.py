"""A scenario is extended by requests that it doesn't answer; existing exchanges are not changed."""

from __future__ import annotations

from pathlib import Path

from cometreel.recording.extending import extend_scenario
from cometreel.scenario import ScenarioBlock, dump, load, parse

HEAD = "cometreel: 1\ncorrelation: gws-v2\nbayeux: {endpoint: /api/v2/notifications}\n"
STATS = "{method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats, workbinOwner: %s}}"


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(HEAD + text)
    return path


def _extend_scenario(folder: Path, written: str, recorded: str) -> ScenarioBlock | None:
    path = _file(folder, "written.yaml", written)
    return extend_scenario(parse(path), load([path]), parse(_file(folder, "recorded.yaml", recorded)))


def _names(file: ScenarioBlock | None) -> list[str]:
    assert file is not None
    return [exchange.name for exchange in file.exchanges or ()]


def test_requests_that_are_answered_already_are_left_out(tmp_path: Path):
    written = f"exchanges:\n  - {{name: edited, request: {STATS % '{$regex: Place.*}'}}}\n"
    recorded = f"exchanges:\n  - {{name: stats of Place1, request: {STATS % 'Place1'}}}\n"
    assert _extend_scenario(tmp_path, written, recorded) is None


def test_unanswered_requests_are_added_at_the_end(tmp_path: Path):
    written = f"exchanges:\n  - {{name: one, request: {STATS % 'Place1'}}}\n"
    recorded = (
        f"exchanges:\n  - {{name: again, request: {STATS % 'Place1'}}}\n"
        f"  - {{name: two, request: {STATS % 'Place2'}, reply: {{body: {{referenceId: 7}}}}}}\n"
    )
    made = _extend_scenario(tmp_path, written, recorded)
    assert _names(made) == ["one", "two"]
    assert made is not None
    (tmp_path / "made.yaml").write_text(dump(made))
    assert [exchange.name for exchange in load([tmp_path / "made.yaml"]).exchanges] == ["one", "two"]


def test_markers_of_the_recording_are_replaced_by_examples(tmp_path: Path):
    written = "exchanges:\n  - {name: me, request: {method: GET, path: /api/v2/me, query: {name: {$any: string}}}}\n"
    recorded = (
        "exchanges:\n  - {name: a, request: {method: GET, path: /api/v2/me, query: {name: {$any: string}}}}\n"
        "  - {name: b, request: {method: GET, path: [api, v2, users, {$id: user-1}]}}\n"
        "  - {name: c, request: {method: POST, path: /api/v2/me, body: {count: {$any: integer}, list: [1]}}}\n"
    )
    assert _names(_extend_scenario(tmp_path, written, recorded)) == ["me", "b", "c"]


def test_used_names_get_a_number_and_guards_follow(tmp_path: Path):
    written = "exchanges:\n  - {name: me, request: {method: GET, path: /api/v2/me}}\n"
    recorded = (
        "exchanges:\n  - {name: start, request: {method: GET, path: /api/v2/me}}\n"
        "  - {name: me, request: {method: GET, path: /api/v2/other}, when: {after: [start]}}\n"
        "timeline:\n"
        "  - {since: start, channel: /v2/me, data: 1}\n"
        "  - {since: me, until: [start], channel: /v2/me, data: 2}\n"
    )
    made = _extend_scenario(tmp_path, written, recorded)
    assert _names(made) == ["me", "me 2"]
    assert made is not None
    assert made.exchanges is not None
    assert made.timeline is not None
    assert made.exchanges[1].when is not None
    assert made.exchanges[1].when.after == ["me"]
    assert [(entry.since, entry.until, entry.data) for entry in made.timeline] == [("me 2", ["me"], 2)]


def test_a_publish_is_compared_by_channel_and_data(tmp_path: Path):
    written = "exchanges:\n  - {name: chat, request: {publish: /service/chat, data: {operation: join}}}\n"
    recorded = (
        "exchanges:\n  - {name: a, request: {publish: /service/chat, data: {operation: join}}}\n"
        "  - {name: b, request: {publish: /service/chat, data: {operation: leave}}}\n"
    )
    assert _names(_extend_scenario(tmp_path, written, recorded)) == ["chat", "b"]


def test_new_roles_are_added_and_existing_ones_are_kept(tmp_path: Path):
    written = "roles: {agent-1: {user: ann}}\nexchanges:\n  - {name: me, request: {method: GET, path: /me}}\n"
    recorded = (
        "roles: {agent-1: {user: other}, agent-2: {user: ben}}\n"
        "exchanges:\n  - {name: two, as: agent-2, request: {method: GET, path: /two}}\n"
    )
    made = _extend_scenario(tmp_path, written, recorded)
    assert made is not None
    assert made.roles is not None
    assert {name: role.user for name, role in made.roles.items()} == {"agent-1": "ann", "agent-2": "ben"}


def test_a_scenario_without_a_bayeux_block_gets_the_recorded_one(tmp_path: Path):
    (tmp_path / "plain.yaml").write_text("cometreel: 1\nexchanges: []\n")
    recorded = _file(tmp_path, "recorded.yaml", "exchanges:\n  - {name: me, request: {method: GET, path: /me}}\n")
    made = extend_scenario(parse(tmp_path / "plain.yaml"), load([tmp_path / "plain.yaml"]), parse(recorded))
    assert made is not None
    assert made.bayeux is not None
    assert (made.bayeux.endpoint, made.correlation) == ("/api/v2/notifications", "gws-v2")
