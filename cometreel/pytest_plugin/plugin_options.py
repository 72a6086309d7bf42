"""The plugin's options, on the command line and in pytest's ini file. Imported by every pytest run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import pytest

__all__ = ["OPTIONS", "Mode", "PluginOptions", "add_options", "read_options"]

Mode: TypeAlias = Literal["once", "new", "all", "none"]

MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True, slots=True)
class PluginOptions:
    """The options of a pytest run."""

    record: str
    """The URL of the server to record; empty if nothing is recorded."""
    mode: Mode
    strict: bool
    """True if a test fails that does not play all exchanges of its scenario."""

    def not_strict(self) -> PluginOptions:
        """Return the options for a reel that several tests share, each of which plays only some exchanges."""
        return replace(self, strict=False)


OPTIONS: pytest.StashKey[PluginOptions] = pytest.StashKey()


def add_options(parser: pytest.Parser) -> None:
    """Add the options to pytest."""
    group = parser.getgroup("cometreel", "Cometreel: record and replay CometD applications")
    group.addoption(
        "--reel-record",
        metavar="URL",
        help="Record scenarios from the real server at this URL. --reel-record-mode selects what to record.",
    )
    group.addoption(
        "--reel-record-mode",
        choices=MODES,
        help="What to record. once: scenarios whose file is missing; replay the others (default). new: use the server, "
        "and add the exchanges that the file does not answer. all: record again. none: record nothing. An existing "
        "file is never overwritten; the new scenario is written next to it, to NAME.new.yaml.",
    )
    group.addoption(
        "--reel-strict",
        action="store_true",
        default=None,
        help="Fail a test that does not play all exchanges of its scenario.",
    )
    parser.addini("reel_record", "Same as --reel-record.", default="")
    parser.addini("reel_record_mode", "Same as --reel-record-mode.", default="")
    parser.addini("reel_strict", "Same as --reel-strict.", type="bool", default=False)


def read_options(config: pytest.Config) -> PluginOptions:
    """Read the options; the command line takes precedence over the ini file.

    :raises pytest.UsageError: if a value is invalid.
    """
    record = config.getoption("--reel-record")
    record = str(config.getini("reel_record")) if record is None else str(record)
    mode = str(config.getoption("--reel-record-mode") or config.getini("reel_record_mode") or "once")
    strict = config.getoption("--reel-strict")
    strict = bool(config.getini("reel_strict")) if strict is None else bool(strict)
    if mode not in MODES:
        raise pytest.UsageError(f"reel_record_mode: {mode!r}; expected one of {', '.join(MODES)}")
    if mode in ("new", "all") and not record:
        raise pytest.UsageError(
            f"--reel-record-mode: {mode!r} without a server to record; expected --reel-record=URL as well"
        )
    if record and mode != "none":
        _check(record)
    return PluginOptions(record, mode, strict)


def _check(record: str) -> None:
    from cometreel.errors import ExtraMissing, OptionInvalid  # noqa: PLC0415  # imported only to record
    from cometreel.extras import require_extra  # noqa: PLC0415

    try:
        require_extra("forward", "--reel-record")
        from cometreel.recording.upstream import Upstream  # noqa: PLC0415  # httpx, an optional dependency

        Upstream.at(record)
    except (ExtraMissing, OptionInvalid) as error:
        raise pytest.UsageError(str(error)) from None
