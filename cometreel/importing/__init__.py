"""Importing: traffic that other programs wrote down, through the same redaction and distilling as a recording.

Reads a HAR file or a flow file of mitmproxy and tells a `Recorder` what was said, in the order of time. The file itself
is never changed. No rule of redaction, correlation or distilling stands here.
"""

from __future__ import annotations

from cometreel.importing.importing import import_traffic

__all__ = ["import_traffic"]
