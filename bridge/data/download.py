"""Files of Keras's data sets: where Keras keeps them, and their download."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.request import urlopen

from bridge.errors import BridgeError
from bridge.files import whole_file

_CHUNK = 2**20
_MOST = 256 * 2**20  # bytes; the largest of the sets has 171 million


@dataclass(frozen=True)
class Source:
    """A public file that Keras downloads too.

    sha256: of the file, or of what it unpacks to where `unpacked` (Keras states no hash for those).
    """

    url: str
    sha256: str
    unpacked: bool = False


def cache_folder() -> Path:
    """The folder that Keras keeps data sets in: $KERAS_HOME/datasets, else ~/.keras/datasets."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"


def cached(name: str, target: Path, source: Source) -> Path:
    """`target`, downloaded first if it is not there; nothing is kept of a download that fails or has another hash."""
    if target.exists():
        return target
    way_out = f"Download {source.url}\nand put it at {target}, or give the data as a file."
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BridgeError(f"{name}: {target.parent} can't be made: {error.strerror}.\nSet KERAS_HOME.") from None
    with whole_file(target) as part:
        try:
            with urlopen(source.url, timeout=60) as answer, part.open("wb") as stream:
                _copy(answer, stream)
        except (OSError, HTTPException) as error:
            raise BridgeError(f"{name}: not in the Keras cache, and the download failed: {error}.\n{way_out}") from None
        if sha256(part, source.unpacked) != source.sha256:
            raise BridgeError(f"{name}: the download is not the file that Keras uses (another SHA-256).\n{way_out}")
    return target


def _copy(answer: IO[bytes], stream: IO[bytes]) -> None:
    done = 0
    while chunk := answer.read(_CHUNK):
        done += len(chunk)
        if done > _MOST:
            raise HTTPException(f"it is larger than {_MOST:,} bytes")
        stream.write(chunk)


def sha256(path: Path, unpacked: bool = False) -> str:
    """SHA-256 of the file or of what it unpacks to, in constant memory; "" if it doesn't unpack."""
    digest, done = hashlib.sha256(), 0
    with gzip.open(path) if unpacked else path.open("rb") as stream:
        try:
            while (chunk := stream.read(_CHUNK)) and done <= _MOST:
                digest.update(chunk)
                done += len(chunk)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return ""
    return digest.hexdigest()
