""".keras archives: a zip file with config.json, metadata.json and model.weights.h5, checked before it is inflated.

Declared sizes are held against the archive's real size: JSON members at most max(1 MiB, 20 x) and never over 16 MiB,
the weights at most max(16 MiB, 20 x). Keras stores its members uncompressed, so a real file is far below.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from bridge.errors import BridgeError

CONFIG, METADATA, WEIGHTS, ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets/"
_ASSET = re.compile(rf"{ASSETS}(\w+/)*vocabulary\.txt")
FACTOR = 20
JSON_FLOOR, JSON_LIMIT, WEIGHTS_FLOOR = 1 << 20, 16 << 20, 16 << 20


@dataclass(frozen=True)
class Archive:
    """The members of a .keras file, inflated. assets: vocabularies, by their names in the file."""

    config: bytes
    metadata: bytes
    weights: BytesIO
    assets: dict[str, bytes] = field(default_factory=dict)


def read(path: Path) -> Archive:
    """All members of a .keras archive. Raises BridgeError for anything that Keras would not have written."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path, size)
            content = {name: archive.read(member) for name, member in members.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise BridgeError(
            f"{path}: is damaged or cut short ({error or type(error).__name__}).\n"
            "Get the file once more from its origin."
        ) from error
    assets = {name: text for name, text in content.items() if name.startswith(ASSETS)}
    return Archive(content[CONFIG], content.get(METADATA, b"{}"), BytesIO(content[WEIGHTS]), assets)


def _members(archive: zipfile.ZipFile, path: Path, size: int) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
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
        limit = (
            max(WEIGHTS_FLOOR, FACTOR * size) if name == WEIGHTS else min(JSON_LIMIT, max(JSON_FLOOR, FACTOR * size))
        )
        if member.file_size > limit or member.compress_size > size:
            raise BridgeError(
                f"{path}: {name} claims {member.file_size:,} bytes in an archive of {size:,}. Nothing was read."
            )
        members[name] = member
    for name in (CONFIG, WEIGHTS):
        if name not in members:
            raise BridgeError(f"{path}: is a zip file without {name}, so it is not a .keras archive.")
    return members
