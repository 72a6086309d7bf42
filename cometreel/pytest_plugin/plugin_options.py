"""The plugin's options, on the command line and in pytest's ini file, checked. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import pytest

__all__ = ["OPTIONS", "Mode", "PluginOptions", "add_options", "read_options"]

Mode: TypeAlias = Literal["once", "new", "all", "none"]

MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True, slots=True)
class PluginOptions:
    """What a run of pytest asks for."""

    record: str
    """The URL of the server to record; empty if nothing is to be recorded."""
    mode: Mode
    strict: bool
    """Whether a test fails that leaves exchanges of its scenario unplayed."""

    def lenient(self) -> PluginOptions:
        """The same options for what several tests play together: each of them plays a part only."""
        return replace(self, strict=False)


OPTIONS: pytest.StashKey[PluginOptions] = pytest.StashKey()


def add_options(parser: pytest.Parser) -> None:
    """Add the options to pytest's."""
    group = parser.getgroup("cometreel", "Cometreel: record and replay CometD applications")
    group.addoption(
        "--reel-record",
        metavar="URL",
        help="Record the scenarios that tests play from the real server at this URL, as --reel-record-mode says.",
    )
    group.addoption(
        "--reel-record-mode",
        choices=MODES,
        help="once: record a scenario whose file is missing, replay the others (default). new: record, and add what "
        "the file doesn't answer yet. all: record anew. none: record nothing. A file that is there is never "
        "overwritten: what was recorded for it lies beside it, as NAME.new.yaml.",
    )
    group.addoption(
        "--reel-strict",
        action="store_true",
        default=None,
        help="Fail a test whose `reel` leaves exchanges of its scenario unplayed.",
    )
    parser.addini("reel_record", "The same as --reel-record.", default="")
    parser.addini("reel_record_mode", "The same as --reel-record-mode.", default="")
    parser.addini("reel_strict", "The same as --reel-strict.", type="bool", default=False)


def read_options(config: pytest.Config) -> PluginOptions:
    """Read the options; the command line wins over the ini file.

    :raises pytest.UsageError: if one can't be used.
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
            f"--reel-record-mode: {mode!r} without a server to record; expected --reel-record=URL too"
        )
    if record:
        _check(record)
    return PluginOptions(record, mode, strict)


def _check(record: str) -> None:
    from cometreel.errors import ExtraMissing, OptionInvalid  # noqa: PLC0415  # only where something is recorded
    from cometreel.extras import require_extra  # noqa: PLC0415

    try:
        require_extra("forward", "--reel-record")
        from cometreel.recording.upstream import Upstream  # noqa: PLC0415  # httpx, an optional dependency

        Upstream.at(record)
    except (ExtraMissing, OptionInvalid) as error:
        raise pytest.UsageError(str(error)) from None
