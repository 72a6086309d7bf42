"""`make demo`: record a real CometD client, replay it without the server, compare, draw a page, run a load test."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.syntax import Syntax

from demo import peers
from demo.client_output import ClientOutput, differences, parse_output
from demo.load import OUT, load
from demo.processes import ProcessFailed

CLIENT = "cometd-3"
SHOWN = "stats of place"
"""The name of the exchange that is printed: a POST and its notification."""

console = Console(highlight=False)


def main() -> int:
    """Run the demo in seven steps; return 1 if the replay differs from the recording."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cometreel-demo-") as name:
        folder = Path(name)
        recorded = record(folder)
        show(folder / "desktop.yaml")
        replayed = replay(folder)
        same = compare(recorded, replayed)
        conversation = draw_page(folder / "desktop.jsonl")
        report = run_load_test(folder)
    console.print(f"   {time.monotonic() - started:.0f} seconds in total. Open these pages in a browser:")
    console.print(f"   {conversation}\n   {report}", soft_wrap=True)
    return 0 if same else 1


def compare(recorded: ClientOutput, replayed: ClientOutput) -> bool:
    """Compare the two runs as the application saw them; return True if nothing differs."""
    found = differences(recorded, replayed)
    console.rule("5  Compare the recording and the replay")
    for channel, messages in recorded.messages.items():
        console.print(f"   {channel}: {len(messages)} messages recorded, {len(replayed.messages[channel])} replayed")
    console.print(f"   HTTP: {len(recorded.replies)} replies recorded, {len(replayed.replies)} replayed")
    if found:
        console.print(f"[bold red]   Differences:[/]\n{found}")
    else:
        console.print("[bold green]   Nothing differs.[/]")
    return not found


def draw_page(journal: Path) -> Path:
    """Write the recorded conversation as a page."""
    console.rule("6  Draw the conversation as a page")
    page = OUT / "conversation.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    program = Path(sys.executable).with_name("cometreel")
    subprocess.run([program, "show", journal, "-o", page], check=True, stdout=subprocess.DEVNULL)
    console.print(f"   {page}", soft_wrap=True)
    return page


def run_load_test(folder: Path) -> Path:
    """Put load on the replay and print the report."""
    console.rule("7  Run a 20-second load test against the replay")
    report = OUT / "load.html"
    console.print(load(folder, report), markup=False, soft_wrap=True)
    return report


def record(folder: Path) -> ClientOutput:
    """Run the client against the server, through mitmdump with the record addon."""
    console.rule("1  Record a third-party client and a CometD server with mitmdump")
    server = peers.stand_in(folder)
    with server.process:
        options: dict[str, object] = {"reel_out": folder / "desktop.jsonl", "reel_filter": "~u /api/v2/"}
        proxy = peers.mitmdump(folder, f"reverse:{server.url}", peers.ADDONS / "record.py", options, "recorder")
        with proxy.process:
            console.print(f"   {CLIENT} → mitmdump {proxy.url} → {server.url}")
            recorded = parse_output(peers.client(folder, CLIENT, proxy.url).await_end())
            console.rule("2  Stop mitmdump, which writes the scenario")
    lines = len((folder / "desktop.jsonl").read_text().splitlines())
    console.print(f"   {lines} lines in the journal; the server is stopped.")
    return recorded


def show(scenario: Path) -> None:
    """Print the head of the scenario and one of its exchanges."""
    console.rule(f"3  Show the scenario {scenario.name}")
    lines = scenario.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("  - name:")] + [len(lines)]
    first = next((at for at in starts if at < len(lines) and SHOWN in lines[at]), starts[0])
    after = next((at for at in starts if at > first), len(lines))
    head = lines[: min(starts[0], 24)]
    console.print(Syntax("\n".join([*head, "  # …", *lines[first:after]]), "yaml", background_color="default"))
    console.print(f"   … {len(lines)} lines, {len(starts) - 1} exchanges")


def replay(folder: Path) -> ClientOutput:
    """Run the same client against mitmdump with the replay addon, without a server."""
    console.rule("4  Replay to the same client, without the server")
    options: dict[str, object] = {"reel_scenario": folder / "desktop.yaml"}
    proxy = peers.mitmdump(folder, "reverse:http://unused.invalid", peers.ADDONS / "replay.py", options, "player")
    with proxy.process:
        console.print(f"   {CLIENT} → mitmdump {proxy.url}")
        (folder / "again").mkdir()
        return parse_output(peers.client(folder / "again", CLIENT, proxy.url).await_end())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ProcessFailed as error:
        sys.exit(f"demo: {error}")
