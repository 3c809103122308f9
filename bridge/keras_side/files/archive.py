""".keras archives: a zip file with config.json, metadata.json and model.weights.h5, checked before it is inflated.

Declared sizes are held against the archive's real size: the weights at most max(16 MiB, 20 x), all other members
together at most max(1 MiB, 20 x), none of these over 16 MiB. Keras stores its members uncompressed, so a real file is
far below, and its weights are read where they are, tensor by tensor; compressed ones are inflated into a temporary file
first.
"""

from __future__ import annotations

import io
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bridge.errors import BridgeError

CONFIG, METADATA, WEIGHTS, ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets/"
_ASSET = re.compile(rf"{ASSETS}(\w+/)*vocabulary\.txt")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)
FACTOR = 20
JSON_FLOOR, JSON_LIMIT, WEIGHTS_FLOOR = 1 << 20, 16 << 20, 16 << 20


@dataclass(frozen=True)
class Archive:
    """The members of a .keras file, weights as an open file. assets: vocabularies, by their names in the file.

    lies: the archive and where in it the weights begin, unless they are compressed.
    """

    config: bytes
    metadata: bytes
    weights: IO[bytes]
    lies: tuple[Path, int] | None
    assets: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The members of a .keras archive, each held against its checksum.

    Raises BridgeError for anything that Keras would not have written.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(archive, path, size)
                content = {name: archive.read(member) for name, member in members.items() if name != WEIGHTS}
                weights, begin = _weights(archive, members[WEIGHTS], file)
        except _DAMAGE as error:
            raise BridgeError(
                f"{path}: is damaged or cut short ({error or type(error).__name__}).\n"
                "Get the file once more from its origin."
            ) from error
        assets = {name: text for name, text in content.items() if name.startswith(ASSETS)}
        with weights:
            lies = None if begin is None else (path, begin)
            yield Archive(content[CONFIG], content.get(METADATA, b"{}"), weights, lies, assets)


def _weights(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: IO[bytes]) -> tuple[IO[bytes], int | None]:
    """A member as a file to read anywhere in, and where it begins; None if it was inflated.

    Raises what zipfile raises if it is damaged.
    """
    if member.compress_type != zipfile.ZIP_STORED:
        inflated = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
        with archive.open(member) as source:  # gives no more than the size that it claims
            shutil.copyfileobj(source, inflated, 1 << 20)
        return inflated, None
    file.seek(member.header_offset)
    header = file.read(30)
    if len(header) < 30 or not header.startswith(b"PK\x03\x04"):
        raise zipfile.BadZipFile(f"no header of {member.filename}")
    begin = member.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
    part = _Part(file, begin, member.file_size)
    checksum = 0
    while piece := part.read(1 << 20):
        checksum = zlib.crc32(piece, checksum)
    if part.tell() != member.file_size or checksum != member.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {member.filename!r}")
    part.seek(0)
    return io.BufferedReader(part), begin


class _Part(io.RawIOBase):
    """The bytes of a file from `begin` on, so many of them, as a file of their own."""

    def __init__(self, file: IO[bytes], begin: int, length: int):
        self._file, self._begin, self._length, self._at = file, begin, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if start + offset < 0:
            raise ValueError(f"negative place {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: max(0, self._length - self._at)]
        self._file.seek(self._begin + self._at)
        count = int(self._file.readinto(view))  # type: ignore[attr-defined]
        self._at += count
        return count


def _members(archive: zipfile.ZipFile, path: Path, size: int) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    left = max(JSON_FLOOR, FACTOR * size)  # for all members but the weights
    for member in archive.infolist():
        name = member.filename
        if name in members:
            raise BridgeError(f"{path}: holds {name!r} twice.")
        if name not in (CONFIG, METADATA, WEIGHTS) and not _ASSET.fullmatch(name):
            raise BridgeError(
                f"{path}: holds {name!r}, which has no place in a .keras archive "
                f"(only {CONFIG}, {METADATA}, {WEIGHTS} and vocabularies)."
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise BridgeError(f"{path}: {name} is a link. Keras writes no links, none is followed.")
        if member.flag_bits & 1:
            raise BridgeError(f"{path}: {name} is encrypted.")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BridgeError(f"{path}: {name} is compressed in a way that Keras does not use.")
        limit = max(WEIGHTS_FLOOR, FACTOR * size) if name == WEIGHTS else min(JSON_LIMIT, left)
        if member.file_size > limit or member.compress_size > size:
            raise BridgeError(
                f"{path}: {name} claims {member.file_size:,} bytes in an archive of {size:,}. Nothing was read."
            )
        members[name] = member
        left -= member.file_size if name != WEIGHTS else 0
    for name in (CONFIG, WEIGHTS):
        if name not in members:
            raise BridgeError(f"{path}: is a zip file without {name}, so it is not a .keras archive.")
    return members
