"""Edits of scenario files are detected, loaded once they are complete, and reported if they are invalid."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cometreel.engine.file_watcher import fingerprint, follow
from cometreel.scenario import CompiledScenario

FIRST = "cometreel: 1\ntitle: first\nexchanges: []\n"


@asynccontextmanager
async def following(paths: list[Path]) -> AsyncIterator[list[str]]:
    """Follow files without an interval; yield the titles of the installed scenarios."""
    titles: list[str] = []

    def install(scenario: CompiledScenario) -> None:
        titles.append(scenario.title)

    task = asyncio.create_task(follow(paths, install, every=0))
    await asyncio.sleep(0)
    yield titles
    task.cancel()


async def until(happened: Callable[[], object]) -> None:
    while not happened():  # noqa: ASYNC110  # the clock of the test is the loop itself
        await asyncio.sleep(0)


async def test_an_edit_is_installed(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(FIRST)
    async with following([file]) as titles:
        file.write_text(FIRST.replace("first", "second"))
        await until(lambda: titles)
    assert titles == ["second"]


async def test_a_broken_edit_is_reported_once_with_its_line_and_nothing_is_installed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(FIRST)
    async with following([file]) as titles:
        file.write_text(FIRST + "exchangs: []\n")
        await until(lambda: caplog.messages)
        for _ in range(100):
            await asyncio.sleep(0)
        assert titles == []
        file.write_text(FIRST.replace("first", "third"))
        await until(lambda: titles)
    (message,) = caplog.messages
    assert message.startswith(f"{file}:4:1: ")
    assert message.endswith("\nThe previous scenario stays active.")
    assert caplog.records[0].levelno == logging.ERROR
    assert titles == ["third"]


async def test_a_file_that_comes_into_a_folder_counts_as_an_edit(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FIRST)
    async with following([tmp_path]) as titles:
        (tmp_path / "b.yml").write_text("cometreel: 1\nexchanges: []\n")
        await until(lambda: titles)
    assert titles == ["first"]


async def test_a_file_is_not_loaded_while_it_is_being_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(
        function: Callable[[Sequence[Path]], CompiledScenario], paths: Sequence[Path]
    ) -> CompiledScenario:
        return function(paths)  # a thread could read the file when it is whole already

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    file, whole = tmp_path / "a.yaml", FIRST.replace("first", "second")
    file.write_text(FIRST)
    async with following([file]) as titles:
        for length in (5, 9, len(whole)):
            file.write_text(whole[:length])
            await asyncio.sleep(0)
        await until(lambda: titles)
    assert (titles, caplog.messages) == (["second"], [])


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda file: file.write_text("longer than it was"), id="another size"),
        pytest.param(lambda file: os.utime(file, ns=(1, 1)), id="another time"),
        pytest.param(lambda file: file.unlink(), id="gone"),
        pytest.param(lambda file: (file.parent / "b.yaml").write_text(""), id="one more file"),
    ],
)
def test_every_way_of_saving_changes_the_fingerprint(tmp_path: Path, edit: Callable[[Path], object]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("x")
    before = fingerprint([tmp_path])
    assert before == fingerprint([tmp_path])
    edit(file)
    assert fingerprint([tmp_path]) != before


def test_other_files_of_the_folder_do_not_change_the_fingerprint(tmp_path: Path) -> None:
    before = fingerprint([tmp_path])
    (tmp_path / ".a.yaml.swp").write_text("x")
    (tmp_path / "notes.md").write_text("x")
    assert fingerprint([tmp_path]) == before == ()


async def test_a_file_that_is_replaced_by_a_pipe_is_reported_and_an_edit_after_it_is_installed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading a pipe waits for a writer, for ever if there is none."""
    file = tmp_path / "a.yaml"
    file.write_text(FIRST)
    async with following([file]) as titles:
        file.unlink()
        os.mkfifo(file)
        await until(lambda: caplog.messages)
        file.unlink()
        file.write_text(FIRST.replace("first", "second"))
        await until(lambda: titles)
    reason = "is not a regular file, but a pipe or a device; expected a scenario file"
    assert caplog.messages == [f"{file}: {reason}\nThe previous scenario stays active."]
    assert titles == ["second"]


WITH_DATA = """cometreel: 1
title: first
exchanges:
  - name: one
    request: {method: GET, path: /x}
    reply: {body: {$file: data/b.json}}
"""


async def test_an_edit_of_a_data_file_is_installed_and_an_invalid_one_is_reported_with_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, data = tmp_path / "a.yaml", tmp_path / "data" / "b.json"
    data.parent.mkdir()
    file.write_text(WITH_DATA)
    data.write_text("{}")
    async with following([tmp_path]) as titles:
        data.write_text('{"a": 1}')
        await until(lambda: titles)
        data.write_text('{"a": 1')
        await until(lambda: caplog.messages)
        data.unlink()
        await until(lambda: "doesn't exist" in caplog.messages[-1])
        del titles[:]
        data.write_text('{"a": 2, "b": 3}')
        await until(lambda: titles)
    assert caplog.messages[0].startswith(f"{data}:1:8: the data file data/b.json isn't JSON: ")
    assert caplog.messages[-1].startswith(f"{file}:6:27: the data file data/b.json doesn't exist; expected ")
