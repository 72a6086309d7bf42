"""The Agents tab in Locust's web UI: sessions, latencies by kind of owner, and charts while a test runs.

The table uses Locust's extension point for tabs. Locust can't show charts there, so a small script adds them below the
table while the tab is open.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flask import Response, request
from locust.web import WebUI

from cometreel.jsonvalue import JSONObject
from cometreel.load import Tally, html_section, rows
from cometreel.load.formatting import count, seconds
from cometreel.locust_agents.run_reports import report_of, with_report

if TYPE_CHECKING:
    from cometreel.locust_agents.coordinator import Coordinator
    from cometreel.locust_agents.locust_listeners import ReelRun

__all__ = ["AgentsTab"]

_KEY = "agents"
_COLUMNS = {
    "owner": "Owner",
    "sent": "Sent",
    "answered": "Answered",
    "lost": "Lost",
    "ackMedian": "Ack p50",
    "ackHigh": "Ack p99",
    "median": "Notification p50",
    "high": "Notification p99",
    "highest": "Notification max",
}
_STYLE = (
    "#reel-agents{max-width:1200px;margin:1rem auto;padding:0 1rem;font:15px/1.5 system-ui,sans-serif}"
    "#reel-gauges{display:flex;gap:2.5rem;flex-wrap:wrap}#reel-gauges b{display:block;font-size:2rem}"
)
_SCRIPT = """<style>%s</style><div id="reel-agents" hidden></div><script>
(() => {
  const box = document.getElementById("reel-agents");
  const show = async () => {
    const open = new URLSearchParams(location.search).get("tab") === "agents";
    const table = open && document.querySelector("#root table");
    box.hidden = !table;
    if (!table) return;
    const reply = await fetch("./agents/picture");
    if (reply.ok) box.innerHTML = await reply.text();
    if (!box.isConnected || !box.previousElementSibling?.contains(table)) table.parentElement.after(box);
  };
  setInterval(() => show().catch(() => {}), 1000);
})();
</script>"""


class AgentsTab:
    """Adds the tab to the web UI and serves its data."""

    def __init__(self, run: ReelRun, web_ui: WebUI) -> None:
        self._run = run
        structure = [{"key": key, "title": title} for key, title in _COLUMNS.items()]
        web_ui.template_args["extended_tabs"] = [{"title": "Agents", "key": _KEY}]
        web_ui.template_args["extended_tables"] = [{"key": _KEY, "structure": structure}]
        assert web_ui.app is not None
        web_ui.app.after_request(self._extend)
        web_ui.app.add_url_rule("/agents/picture", "reel_agents", web_ui.auth_required_if_enabled(self._charts))

    def _coordinator(self) -> Coordinator | None:
        self._run.refresh()
        return self._run.coordinator

    def _extend(self, response: Response) -> Response:
        """Add the rows of the table to Locust's statistics, the script to its page, and our report to its report."""
        endpoint = (request.endpoint or "").rpartition(".")[2]
        if endpoint == "index" and response.status_code == 200 and not response.is_streamed:
            page, body, rest = response.get_data(as_text=True).rpartition("</body>")
            response.set_data(page + _SCRIPT % _STYLE + body + rest)
        coordinator = self._coordinator() if endpoint in ("request_stats", "stats_report") else None
        if coordinator is None:
            return response
        if endpoint == "stats_report":
            response.set_data(with_report(response.get_data(as_text=True), report_of(coordinator)))
        elif response.is_json:
            whole = json.loads(response.get_data(as_text=True))
            whole["extended_stats"] = [
                *whole.get("extended_stats", []),
                {"key": _KEY, "data": _table(coordinator.tally())},
            ]
            response.set_data(json.dumps(whole))
        return response

    def _charts(self) -> str:
        """Return the gauges and charts as an HTML fragment."""
        coordinator = self._coordinator()
        if coordinator is None:
            return "<p>No test has run yet.</p>"
        report = report_of(coordinator)
        lost = sum(row.failed("lost") for row in rows(report.tally)[:-1])
        workers = report.tally.workers.values()
        gauges = {
            "sessions up": sum(each["sessions"] for each in workers),
            "polls held": sum(each["held"] for each in workers),
            "in flight": sum(each["in_flight"] for each in workers),
            "lost": lost,
        }
        boxes = "".join(f'<span data-gauge="{key}"><b>{count(value)}</b>{key}</span>' for key, value in gauges.items())
        return f'<div id="reel-gauges">{boxes}</div>{html_section(report)}'


def _table(tally: Tally) -> list[JSONObject]:
    found: list[JSONObject] = []
    for row in rows(tally):
        entry = row.entry
        ack, notification = entry.ack.intended, entry.notification.intended
        found.append(
            {
                "owner": row.label,
                "sent": entry.sent,
                "answered": entry.answered,
                "lost": row.failed("lost"),
                "ackMedian": seconds(ack.percentile(50)),
                "ackHigh": seconds(ack.percentile(99)),
                "median": seconds(notification.percentile(50)),
                "high": seconds(notification.percentile(99)),
                "highest": seconds(notification.highest),
            }
        )
    return found
