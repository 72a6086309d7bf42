"""A few inputs of each target, all inputs that have failed before, and proofs that the fuzzer notices faults."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fuzzing.checks import PromiseBroken, check_frames, check_responses
from tests.fuzzing.fuzzer import Hang, fuzz, guarded, save
from tests.fuzzing.targets import TARGETS

INPUTS = 100
SEED = 1


@pytest.mark.parametrize("name", TARGETS)
def test_edited_inputs_keep_the_promises(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    result = fuzz(target.check, target.corpus(tmp_path), first_seed=SEED, inputs=INPUTS)
    assert (result.error, result.failing) == (None, None)
    assert result.inputs >= INPUTS


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_and_all_inputs_that_have_failed_keep_the_promises(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    corpus = target.corpus(tmp_path)
    assert len(corpus) > 1
    for data in corpus:
        guarded(target.check, data)


def test_an_input_that_fails_is_made_small_and_can_be_saved(tmp_path: Path) -> None:
    def check(data: bytes) -> None:
        assert b"null" not in data

    result = fuzz(check, [b'{"a": 1, "b": [true, "x"]}', b"another input"], first_seed=SEED, inputs=5000)
    assert isinstance(result.error, AssertionError)
    assert result.failing is not None
    assert b"null" in result.failing
    assert len(result.failing) < 40
    assert save(result.failing, tmp_path / "any").read_bytes() == result.failing


def test_an_input_that_is_checked_for_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(_data: bytes) -> None:
        while True:
            pass

    monkeypatch.setattr("tests.fuzzing.fuzzer.MOST_SECONDS", 0.01)
    with pytest.raises(Hang):
        guarded(check, b"x")


def test_an_input_that_makes_a_task_wait_for_ever_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(_data: bytes) -> None:
        asyncio.run(asyncio.Event().wait())

    monkeypatch.setattr("tests.fuzzing.fuzzer.LONGEST_WAIT", 0.01)
    with pytest.raises(Hang):
        guarded(check, b"x")


def test_an_input_that_needs_too_much_memory_fails() -> None:
    with pytest.raises(MemoryError):
        guarded(lambda _data: print(len(bytes(2 << 30))), b"x")


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT_STREAM = CHUNKS.replace(b"\r\n\r\n", b"\r\ncontent-type: text/event-stream\r\n\r\n")


@pytest.mark.parametrize(
    "output",
    [
        OK[:-1],
        OK + b"x",
        OK.replace(b"content-length: 2", b"content-length 2"),
        OK.replace(b"content-length", b"x:\r\n\r\nhttp\r\ncontent-length"),
        b"HTTP/1.1 200 OK\r\ncontent-type: text/javascript\r\ncontent-length: 9\r\n\r\nalert(1)x",
        CHUNKS + b"2\r\nokx\r\n",
        CHUNKS,
        CHUNKS + b"2\r\nok\r\n",
        CHUNKS + b"2\r\nok\r\n0\r\n",
        EVENT_STREAM + b"2\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05four",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x84\0\0\0\0four",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x88\0\x81\x01a",
    ],
)
def test_output_that_is_not_complete_http_breaks_a_promise(output: bytes) -> None:
    check_responses(OK + OK)
    check_responses(CHUNKS + b"2\r\nok\r\n0\r\n\r\n" + EVENT_STREAM + b"2\r\nok\r\n")
    check_frames(b"\x81\x02ok\x88\0")
    with pytest.raises(PromiseBroken):
        check_responses(output)
