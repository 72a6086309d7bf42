"""Starting: a folder to begin in, and whether this machine has what Cometreel can use. Plays and records nothing."""

from __future__ import annotations

from cometreel.starting.machine import Check, checks
from cometreel.starting.starter import Started, start

__all__ = ["Check", "Started", "checks", "start"]
