"""`make sample`: record the sample in `recordings/` again. Its key is discarded."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from demo import peers

__all__ = ["JOURNAL", "SCENARIO"]

JOURNAL = peers.ROOT / "recordings" / "workbin-desktop.jsonl"
SCENARIO = JOURNAL.with_suffix(".yaml")


def main() -> None:
    """Record the client and keep the journal and its scenario."""
    with tempfile.TemporaryDirectory(prefix="cometreel-sample-") as name:
        folder = Path(name)
        options: dict[str, object] = {"reel_out": folder / JOURNAL.name, "reel_filter": "~u /api/v2/"}
        server = peers.stand_in(folder)
        with server.process:
            proxy = peers.mitmdump(folder, f"reverse:{server.url}", peers.ADDONS / "record.py", options, "recorder")
            with proxy.process:
                peers.client(folder, "cometd-3", proxy.url).await_end()
        for path in (JOURNAL, SCENARIO):
            shutil.copyfile(folder / path.name, path)


if __name__ == "__main__":
    main()
