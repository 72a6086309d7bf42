"""The content view with the recording addon in a real mitmdump, as shown in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_the_terminal_shows_which_call_a_notification_answers(
    start: Any, application: Any, desktop: Any, tmp_path: Path
) -> None:
    addons = Path(__file__).parents[2] / "proxy_addons"
    proxy = start(
        "mitmdump",
        *("--mode", f"reverse:{application.url}"),
        *("-s", str(addons / "record.py")),
        *("--flow-detail", "3"),
        script="bayeux_view.py",
        reel_out=tmp_path / "a.jsonl",
    )
    agent = desktop(proxy.url)
    agent.log_in()
    agent.ask("Place1")
    agent.poll()
    shown = proxy.says("# answers POST /api/v2/workbins RequestAgentStats")
    assert "- channel: /meta/subscribe" in shown
    assert "Over-riding" not in shown, "both addons declare reel_profile, alike"
