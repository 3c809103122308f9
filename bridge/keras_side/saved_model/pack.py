"""A SavedModel but for the weights that were converted, in the layered model itself: so that it can be written anew.

Text: a zip archive in base64, with the folder's files, a list of the checkpoint's keys, and the values of the variables
that are no weights of the network (an optimizer's, counters). Where those are large, the pack is only the list, and the
way home needs the folder.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from bridge.errors import BridgeError
from bridge.graph.stored import Arrays
from bridge.keras_side.old import layouts
from bridge.keras_side.saved_model import folder as folders
from bridge.keras_side.saved_model.checkpoint import Checkpoint, Stored
from bridge.keras_side.saved_model.folder import Folder

SAVED_MODEL, CHECKPOINT = "SavedModel", "checkpoint"
LIST, REST = "bridge.json", "bridge/rest/"
PACKED_LIMIT = 64 << 20  # bytes of all files, and of the text


@dataclass(frozen=True)
class Laid:
    """How a weight's numbers lie in the checkpoint."""

    layout: str

    def to_file(self, array: np.ndarray) -> np.ndarray:
        """The numbers as the checkpoint has them."""
        return layouts.LAYOUTS[self.layout].to_file(array)


@dataclass(frozen=True)
class Pack:
    """files: path in the folder -> content. places: weight -> keys. stored: every tensor of the checkpoint, by key.

    rest: the values of those that are no weights; None where they were too large to keep, as the files then were.
    laid: weight -> how it lies there, where that is not as it is.
    """

    places: dict[str, list[str]]
    stored: dict[str, Stored]
    files: dict[str, bytes]
    rest: Mapping[str, Any] | None
    laid: dict[str, Laid]


def packed(
    folder: Folder, places: dict[str, list[str]], laid: dict[str, Laid], left_out: frozenset[str] = frozenset()
) -> str:
    """The text of a pack. left_out: keys that are not kept."""
    checkpoint, files = Checkpoint(folder), folder.besides
    kept = {key: stored for key, stored in checkpoint.stored.items() if key not in left_out}
    used = {key for keys in places.values() for key in keys}
    rest = [stored for key, stored in kept.items() if key not in used]
    facts = {
        "places": places,
        "laid": {path: how.layout for path, how in laid.items()},
        "stored": [[s.key, list(s.shape), s.dtype] for s in kept.values()],
        "whole": False,
    }
    if sum(folder.files[name] for name in files) + sum(s.nbytes for s in rest) <= PACKED_LIMIT:
        whole = {name: (folder.path / name).read_bytes() for name in files}
        whole |= {f"{REST}{number}": _bytes(checkpoint.read(s.key)) for number, s in enumerate(rest)}
        text = _zipped(whole, facts | {"whole": True, "rest": [s.key for s in rest]})
        if len(text) <= PACKED_LIMIT:
            return text
    return _zipped({}, facts)


def unpacked(text: Any, name: str, what: str = SAVED_MODEL) -> Pack:
    """What `packed` gave. Raises BridgeError, which names the model, for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(text, validate=True))) as archive:
            if sum(member.file_size for member in archive.infolist()) > 2 * PACKED_LIMIT:  # its list has room too
                raise ValueError("it is too large")
            content = {member.filename: archive.read(member) for member in archive.infolist()}
        facts = json.loads(content.pop(LIST))
        stored = {key: Stored(key, tuple(shape), dtype) for key, shape, dtype in facts["stored"]}
        places = {path: [stored[key].key for key in keys] for path, keys in facts["places"].items()}
        laid = {path: Laid(how) for path, how in facts.get("laid", {}).items()}
        if any(how.layout not in layouts.LAYOUTS for how in laid.values()):
            raise ValueError("it speaks of an unknown layout")
        rest = {k: content.pop(f"{REST}{n}") for n, k in enumerate(facts["rest"])} if facts["whole"] else None
        values = None if rest is None else {key: _array(data, stored[key]) for key, data in rest.items()}
        if any(not _is_inside(path) for path in content):
            raise ValueError("it holds a file of another place")
    except (
        binascii.Error,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise BridgeError(
            f"{name}: what it keeps of its {what} is damaged ({error}).\n"
            f"Pass {'the folder' if what == SAVED_MODEL else 'its files'}: --arch {what.upper()}"
        ) from None
    return Pack(places, stored, content, values, laid)


def of_folder(folder: Folder, kept: Pack, name: str) -> Pack:
    """The same from the files themselves, which must hold the tensors that the model was converted from."""
    path, checkpoint = folder.label, Checkpoint(folder)
    used = {key for keys in kept.places.values() for key in keys}
    if lacks := sorted(used - set(checkpoint.stored)):
        what = CHECKPOINT if folder.is_checkpoint else SAVED_MODEL
        raise BridgeError(f"{path}: is not the {what} that {name} was converted from: it has no {lacks[0]}.")
    stored = {key: stored for key, stored in checkpoint.stored.items() if key in kept.stored}
    rest = Arrays({key: partial(checkpoint.read, key) for key in stored if key not in used})
    files = {name: (folder.path / name).read_bytes() for name in folder.besides}
    return replace(kept, stored=stored, files=files, rest=rest)


def _zipped(content: dict[str, bytes], facts: dict[str, Any]) -> str:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {LIST: json.dumps(facts).encode(), **content}.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return base64.b64encode(data.getvalue()).decode()


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    known = name in (folders.PROGRAM, folders.METADATA, folders.FINGERPRINT)
    below = path.parts[:1] in (("assets",), ("assets.extra",)) and len(path.parts) > 1
    return (known or below) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _bytes(array: np.ndarray) -> bytes:
    if array.dtype == object:  # text
        return json.dumps([base64.b64encode(item).decode() for item in array.reshape(-1)]).encode()
    return array.tobytes()


def _array(data: bytes, stored: Stored) -> np.ndarray:
    if stored.dtype == "string":
        items = [base64.b64decode(item) for item in json.loads(data)]
        made = np.empty(len(items), object)
        made[:] = items
        return made.reshape(stored.shape)
    return np.frombuffer(data, stored.numpy).reshape(stored.shape)
