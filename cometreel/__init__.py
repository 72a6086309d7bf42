"""Cometreel records and replays CometD applications: the HTTP call *and* the notification that answers it."""

from __future__ import annotations

from cometreel.errors import CometreelError

__all__ = ["CometreelError", "__version__"]

__version__ = "0.1.0"
