"""The options and commands of the recording addon, called as mitmproxy calls them, without a proxy."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import exceptions, flowfilter
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons, tflow, tutils

from cometreel.proxy_addons.record import Record


@pytest.fixture
async def context() -> AsyncIterator[taddons.context]:
    """An addon in a mitmproxy that is starting."""
    addon = Record()
    with taddons.context(Proxyserver(), addon) as made:
        made.addon = addon
        yield made
    addon.done()


def kinds(journal: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in journal.read_text().splitlines()[1:]]


def get(path: str, *, live: bool = True) -> Any:
    made = tflow.tflow(req=tutils.treq(method=b"GET", path=path.encode(), content=b""), resp=True)
    made.live = live
    made.request.timestamp_start = made.request.timestamp_end = time.time()
    return made


NO_POLICY = (
    "none.yaml: can't be read: No such file or directory; "
    "expected a policy in YAML (shipped policies: default and strict)"
)
NO_JOURNAL = (
    "reel_out: 'out/a.yaml'; expected the path of a journal, for example recordings/login.jsonl "
    "(the scenario next to it gets .yaml, its key .key)"
)
BAD = [
    (
        "reel_filter",
        "~q ~q (",
        "reel_filter: '~q ~q ('; expected a mitmproxy filter expression (for example '~u /api/ & !~a')",
    ),
    ("reel_profile", "x", "reel_profile: 'x'; expected detect, gws-v2, workspace-v3, or a YAML file with a profile"),
    (
        "reel_policy",
        "none.yaml",
        NO_POLICY,
    ),
    (
        "reel_out",
        "out/a.yaml",
        NO_JOURNAL,
    ),
    ("reel_out", "x" * 300, f"reel_out: '{'x' * 40}…' has a name of 300 bytes; expected at most 245"),
    (
        "reel_out",
        "{tmp}/" + "x" * 300 + "/a.jsonl",
        "{tmp}/"
        + "x" * 300
        + "/a.jsonl: can't be written: File name too long; expected a writable folder with free space",
    ),
    (
        "reel_profile",
        "x" * 300,
        f"reel_profile: '{'x' * 300}'; expected detect, gws-v2, workspace-v3, or a YAML file with a profile",
    ),
    (
        "reel_out",
        "{tmp}/file/a.jsonl",
        "{tmp}/file: can't be written: File exists; expected a writable folder with free space",
    ),
    (
        "reel_out",
        "{tmp}/file",
        "{tmp}/file:1:1: not a Cometreel journal; expected a journal of version 1, written by the recorder",
    ),
]


@pytest.mark.parametrize(("option", "value", "sentence"), BAD)
async def test_an_invalid_option_at_the_start_is_logged_as_one_error(
    context: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, option: str, value: str, sentence: str
) -> None:
    """An error in the log ends mitmproxy with exit code 1 while it starts."""
    (tmp_path / "file").write_text("foreign\n")
    context.options.update(reel_out=str(tmp_path / "a.jsonl"))
    context.options.update(**{option: value.format(tmp=tmp_path)})
    context.addon.running()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        sentence.format(tmp=tmp_path)
    ]
    assert (tmp_path / "file").read_text() == "foreign\n"


@pytest.mark.parametrize(("option", "value", "sentence"), BAD)
async def test_an_invalid_option_while_running_is_refused_and_the_recording_continues(
    context: Any, tmp_path: Path, option: str, value: str, sentence: str
) -> None:
    (tmp_path / "file").write_text("foreign\n")
    context.options.update(reel_out=str(tmp_path / "a.jsonl"))
    context.addon.running()
    with pytest.raises(exceptions.OptionsError, match=re.escape(sentence.format(tmp=tmp_path))):
        context.configure(context.addon, **{option: value.format(tmp=tmp_path)})
    flow = get("/x")
    context.addon.request(flow)
    assert kinds(tmp_path / "a.jsonl") == ["request"]


async def test_a_negative_limit_is_refused(context: Any, tmp_path: Path) -> None:
    context.options.update(reel_out=str(tmp_path / "a.jsonl"))
    context.addon.running()
    sentence = "reel_inline_limit: -1; expected a number of bytes from 0"
    with pytest.raises(exceptions.OptionsError, match=sentence):
        context.configure(context.addon, reel_inline_limit=-1)


async def test_the_default_journal_is_named_by_the_time_in_recordings(
    context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    context.addon.configure(set(context.options.keys()))  # as mitmproxy does with each script that it loads
    context.addon.running()
    names = sorted(path.suffix for path in (tmp_path / "recordings").iterdir())
    assert names == [".jsonl", ".key"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.jsonl", context.addon.recorder.path.name)


async def test_a_folder_gets_a_journal_named_by_the_time(context: Any, tmp_path: Path) -> None:
    context.configure(context.addon, reel_out=str(tmp_path))
    context.addon.running()
    assert context.addon.recorder.path.parent == tmp_path
    assert context.addon.recorder.path.suffix == ".jsonl"


async def test_another_journal_while_running_finishes_the_first(
    context: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    context.configure(context.addon, reel_out=str(tmp_path / "one.jsonl"))
    context.addon.running()
    context.addon.request(get("/one"))
    context.configure(context.addon, reel_out=str(tmp_path / "two.jsonl"))
    context.addon.request(get("/two"))
    assert (kinds(tmp_path / "one.jsonl"), kinds(tmp_path / "two.jsonl")) == (["request"], ["request"])
    assert f"recorded into {tmp_path / 'one.jsonl'}" in caplog.text


async def test_another_filter_while_running_keeps_the_journal(context: Any, tmp_path: Path) -> None:
    context.configure(context.addon, reel_out=str(tmp_path / "a.jsonl"))
    context.addon.running()
    context.configure(context.addon, reel_filter="~u wanted")
    for path in ("/other", "/wanted"):
        context.addon.request(get(path))
    assert kinds(tmp_path / "a.jsonl") == ["request"]


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/html",
        "application/json",
        "text/css;charset=x",
        "image/png",
        "IMAGE/PNG",
        "font/woff2",
        "text/javascript",
    ],
)
async def test_the_default_filter_equals_the_one_of_mitmproxy(context: Any, kind: str) -> None:
    """The addon has a faster implementation, which must give the same results."""
    context.options.reel_filter = "!~a"
    flow = get("/x")
    flow.response.headers["content-type"] = kind
    for made in (flow, tflow.tflow()):
        assert context.addon.options.is_wanted(made) == flowfilter.match("!~a", made)


async def test_flows_loaded_from_a_file_are_not_recorded(context: Any, tmp_path: Path) -> None:
    context.configure(context.addon, reel_out=str(tmp_path / "a.jsonl"))
    context.addon.running()
    loaded = get("/x", live=False)
    context.addon.request(loaded)
    context.addon.response(loaded)
    assert kinds(tmp_path / "a.jsonl") == []


async def test_a_mark_is_written_to_the_journal(context: Any, tmp_path: Path) -> None:
    context.configure(context.addon, reel_out=str(tmp_path / "a.jsonl"))
    context.addon.running()
    context.master.commands.execute("reel.mark before the transfer")
    assert [json.loads(line)["text"] for line in (tmp_path / "a.jsonl").read_text().splitlines()[1:]] == [
        "before the transfer"
    ]


async def test_save_creates_a_scenario_while_recording(
    context: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    context.configure(context.addon, reel_out=str(tmp_path / "a.jsonl"))
    context.addon.running()
    flow = get("/x")
    context.addon.request(flow)
    context.addon.response(flow)
    context.master.commands.execute("reel.save")
    await asyncio.gather(*context.addon.saving)
    assert f"scenario in {tmp_path / 'a.yaml'}" in caplog.text
    context.addon.request(get("/y"))
    assert kinds(tmp_path / "a.jsonl") == ["request", "reply", "request"]


async def test_without_a_recording_every_hook_does_nothing(context: Any) -> None:
    """Traffic continues if the recorder could not start."""
    web = tflow.twebsocketflow()
    for hook in ("request", "response", "websocket_start", "websocket_message", "websocket_end", "error"):
        getattr(context.addon, hook)(web)
    context.addon.mark("x")
    context.addon.save()
    context.addon.done()
