"""Opens traffic files: detects gzip, zlib (`.zhar`) and UTF-16, and returns a file that reads as UTF-8."""

from __future__ import annotations

import codecs
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from cometreel.errors import FileInvalid, Problem

__all__ = ["EXPECTED", "open_traffic_file"]

EXPECTED = "a HAR file, or a flow file of mitmproxy"
_FIRST_BYTES = 1024
_BLOCK = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LARGEST = 4 * 1024**3
"""The largest decompressed file, in bytes."""

Converter: TypeAlias = Callable[[bytes, bool], bytes]
"""Converts the next block; the flag is true for the last one."""


class _TooLargeError(Exception):
    """The decompressed file is too large."""


class _ConvertedFile:
    """A file whose blocks are converted while they are read. Seeking back reads it again from its start."""

    def __init__(self, file: BinaryIO, converter: Callable[[], Converter]) -> None:
        self._file, self._make = file, converter
        self._start = file.tell()
        self._convert = converter()
        self._converted, self._ended, self._size = b"", False, 0

    def tell(self) -> int:
        """Return the number of bytes read."""
        return self._size - len(self._converted)

    def seek(self, offset: int) -> int:
        """Go to an offset from the start."""
        if offset < self.tell():
            self._rewind()
        while self.tell() < offset and self.read(min(offset - self.tell(), _BLOCK)):
            pass
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        """Read converted bytes, less than `size` only at the end.

        :raises _TooLargeError: if there are more than 4 GiB.
        """
        pieces: list[bytes] = []
        while size and (self._converted or not self._ended):
            if not self._converted:
                self._convert_block()
            piece = self._converted if size < 0 else self._converted[:size]
            self._converted = self._converted[len(piece) :]
            size -= len(piece) if size > 0 else 0
            pieces.append(piece)
        return b"".join(pieces)

    def _convert_block(self) -> None:
        block = self._file.read(_BLOCK)
        self._ended = not block
        self._converted = self._convert(block, self._ended)
        self._size += len(self._converted)
        if self._size > _LARGEST:
            raise _TooLargeError

    def _rewind(self) -> None:
        self._file.seek(self._start)
        self._convert, self._converted, self._ended, self._size = self._make(), b"", False, 0


@contextmanager
def open_traffic_file(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file: as it is, for the progress, and converted to UTF-8 without byte order mark.

    :raises FileInvalid: if it can't be read or decompressed, or isn't text in its encoding.
    """
    try:
        with path.open("rb") as file:
            yield file, _as_utf8(_decompressed(file))
    except OSError as error:
        if error.filename not in (None, str(path), path):
            raise
        raise _invalid(path, f"can't be read: {error.strerror or error}") from None
    except zlib.error:
        raise _invalid(path, "the compressed data is damaged or truncated") from None
    except _TooLargeError:
        raise _invalid(path, f"it has more than {_LARGEST} bytes when it is decompressed") from None
    except UnicodeDecodeError as error:
        raise _invalid(path, f"it isn't text in {error.encoding.upper()[:6]}") from None


def _invalid(path: Path, found: str) -> FileInvalid:
    return FileInvalid([Problem(str(path), 0, 0, found, EXPECTED)])


def _decompressed(file: BinaryIO) -> BinaryIO:
    start = _peek(file)
    is_zlib = len(start) > 1 and start[0] & 15 == zlib.DEFLATED and int.from_bytes(start[:2], "big") % 31 == 0
    if start.startswith(b"\x1f\x8b"):
        return _converted(file, lambda: _inflate(zlib.MAX_WBITS | 16))
    return _converted(file, lambda: _inflate(zlib.MAX_WBITS)) if is_zlib else file


def _as_utf8(file: BinaryIO) -> BinaryIO:
    start = _peek(file)
    encoding = json.detect_encoding(start[:4])  # only valid for JSON; flows look like UTF-8
    if encoding.startswith(("utf-16", "utf-32")):
        return _converted(file, lambda: _transcode(encoding))
    file.seek(len(_BYTE_ORDER_MARK) if start.startswith(_BYTE_ORDER_MARK) else 0)
    return file


def _peek(file: BinaryIO) -> bytes:
    start = file.read(_FIRST_BYTES)
    file.seek(0)
    return start


def _converted(file: BinaryIO, converter: Callable[[], Converter]) -> BinaryIO:
    return cast("BinaryIO", _ConvertedFile(file, converter))


def _inflate(window_bits: int) -> Converter:
    stream = zlib.decompressobj(window_bits)

    def convert(block: bytes, is_last: bool) -> bytes:
        if is_last and not stream.eof:
            raise zlib.error("truncated")
        return stream.decompress(block)

    return convert


def _transcode(encoding: str) -> Converter:
    decoder = codecs.getincrementaldecoder(encoding)()
    return lambda block, is_last: decoder.decode(block, is_last).encode("utf-8", "surrogatepass")
