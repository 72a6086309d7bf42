"""Forwarding: everything goes on to a real server and is recorded on the way, without a proxy program in between.

Knows HTTP, the recorder and the scenario that a recording becomes; nothing of pytest or of replaying.
"""

from __future__ import annotations

from cometreel.forward.forwarder import Forwarder
from cometreel.forward.recording import Recorded, Recording
from cometreel.forward.upstream import Upstream

__all__ = ["Forwarder", "Recorded", "Recording", "Upstream"]
