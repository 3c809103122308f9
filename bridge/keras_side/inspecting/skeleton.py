"""An `--arch` function for weights without an architecture: what their shapes tell, with the rest left blank."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.keras_side.files.hdf5 import Weights
from bridge.keras_side.inspecting.pieces import ANY, BY_STEPS, FLAT, FLATTENS, STEPS, UNKNOWN, Piece, by_class, pieces

_TRIES = 5_000  # steps of the search for an order
_MOST = 200  # layers with weights; who has more than that in a stack has the code of it
_MOST_GUESSES = 10  # the sum of what `_joined` says of the lines between layers
_FIRST = ("Normalization", "Embedding")  # they begin a model
_BY_STEPS = "layers.TimeDistributed(LAYER"
_IMAGES_BY_STEPS = (BY_STEPS["2"], BY_STEPS["3"])


def skeleton(file: Weights) -> str | None:
    """Python source of a function `build` whose blanks are names in capitals; None where the layers are no stack."""
    found = pieces(file)
    if found is None:
        return None
    listed, ordered = found
    weighted = [piece for piece in listed if piece.weights]
    if not weighted or len(weighted) > _MOST or any(not piece.kind for piece in listed):
        return None
    spare = [] if ordered else [piece for piece in listed if not piece.weights]
    between = {piece.kind for piece in spare} if spare or ordered else None
    placed = listed if ordered else _ordered(weighted, between)
    steps = None if placed is None else _connected(placed, None if ordered else spare, between)
    return None if steps is None else _source(file.name, steps, spare, ordered)


@dataclass(frozen=True)
class _State:
    """What comes out of a layer: channels (None: not known) and the form of its rows.

    half: the channels of a Bidirectional whose directions are added up, say.
    """

    channels: int | None
    form: str
    half: int | None = None


@dataclass(frozen=True)
class _Step:
    """A line of the stack: the layer, and what stands before it so that it gets what it takes."""

    piece: Piece
    before: str = ""
    options: tuple[str, ...] = ()


def _joined(
    state: _State | None, piece: Piece, between: set[str] | None
) -> tuple[_State, str, tuple[str, ...], int] | None:
    """What comes out of a piece behind this state, the line between them, options, and how sure it is (0: exact).

    between: the classes without weights that may be put in; None where the file tells nothing of them.
    None if the piece can't follow.
    """
    if state is None:
        return _after(_State(piece.takes, piece.form), piece), "", (), 0
    halves = piece.takes is not None and piece.takes == state.half
    if halves:
        state = _State(piece.takes, state.form)
    channels, form = state.channels, state.form
    if piece.kind == "Embedding" or (piece.kind in _FIRST and piece.weights):
        return None if piece.kind == "Embedding" else (_after(state, piece), "", (), 1)
    alike = channels is None or piece.takes is None or channels == piece.takes
    if form in _IMAGES_BY_STEPS and piece.form == STEPS and channels and piece.takes and piece.takes % channels == 0:
        if between is not None and "TimeDistributed" not in between:
            return None
        line = f"{_BY_STEPS}),  # to {piece.takes} = {channels} channels x {piece.takes // channels}"
        return _after(_State(piece.takes, STEPS), piece), line, (), 2
    if piece.form not in (ANY, form) and not (form == ANY and alike):
        reshapes = (between is None or "Reshape" in between) and form in (FLAT, ANY) and piece.form != STEPS
        if not reshapes or not piece.takes or not channels or channels % piece.takes:
            return None
        sizes = ", ".join(("HEIGHT", "WIDTH", "DEPTH")[: int(piece.form)])
        count = channels // piece.takes
        line = f"layers.Reshape(({sizes}, {piece.takes})),  # {count} positions of {piece.takes} channels"
        return _after(_State(piece.takes, piece.form), piece), line, (), 3
    if alike:
        told = form != ANY or piece.form in (ANY, FLAT)
        doubt = 0 if told else 1 if piece.form == STEPS else 4  # a first Dense is seldom one of images' channels
        return _after(state, piece), "", (), doubt + halves
    if piece.kind.startswith("Conv") and not piece.kind.endswith("Transpose") and channels % piece.takes == 0:
        return _after(state, piece), "", (f"groups={channels // piece.takes}",), 2
    flattens = between is None or "Flatten" in between
    if flattens and piece.kind == "Dense" and form != FLAT and piece.takes % channels == 0 and form != ANY:
        line = f"layers.Flatten(),  # {_positions(piece.takes, channels, form)}"
        return _after(_State(piece.takes, FLAT), piece), line, (), 2
    return None


def _after(state: _State, piece: Piece) -> _State:
    form = piece.after if piece.after != ANY else (piece.form if piece.form != ANY else state.form)
    channels = piece.gives if piece.gives is not None else state.channels
    if piece.kind == "Flatten" and state.form != FLAT:
        channels = None
    if piece.kind in ("Reshape", UNKNOWN) or piece.after == UNKNOWN:
        channels, form = None, ANY
    half = piece.gives // 2 if piece.kind == "Bidirectional" and piece.gives else None
    return _State(channels, form, half)


def _positions(size: int, channels: int, form: str) -> str:
    count = size // channels
    sides = {"2": 2, "3": 3}.get(form, 1)
    side = round(count ** (1 / sides))
    such = f", such as {' x '.join([str(side)] * sides)}" if sides > 1 and side**sides == count else ""
    return f"{size} = {channels} channels x {count} positions{such}"


def _ordered(weighted: list[Piece], between: set[str] | None) -> list[Piece] | None:
    """An order in which each layer gets what the one before it gives, each class in its own order.

    Of several that with the fewest guesses between layers: a Flatten, groups, a Reshape.
    """
    queues, tries = by_class(weighted), 0

    def search(state: _State | None, places: tuple[int, ...], last: str, guesses: int) -> list[Piece] | None:
        nonlocal tries
        tries += 1
        if tries > _TRIES:
            return None
        left = [(i, queue[at]) for i, (queue, at) in enumerate(zip(queues, places, strict=True)) if at < len(queue)]
        if not left:
            return []
        options = []
        for i, piece in left:
            joined = _joined(state, piece, between)
            if joined is not None and joined[3] <= guesses:
                options.append((_rank(piece, last, state, joined[3]), i, piece, joined))
        for _, i, piece, (after, _, _, cost) in sorted(options, key=lambda option: option[0]):
            rest = search(after, (*places[:i], places[i] + 1, *places[i + 1 :]), piece.kind, guesses - cost)
            if rest is not None:
                return [piece, *rest]
        return None

    for guesses in range(_MOST_GUESSES):
        tries = 0
        found = search(None, (0,) * len(queues), "", guesses)
        if found is not None:
            return found
    return None


def _rank(piece: Piece, last: str, state: _State | None, doubt: int) -> tuple[int, ...]:
    """The order in which layers are tried: normalizations where they fit, images before vectors, the same class on."""
    normalizes = "Normalization" in piece.kind or piece.kind == "PReLU"
    begins = 0 if piece.kind in _FIRST else 1 if piece.form not in (ANY, FLAT) else 2
    if state is None:
        return begins, int(normalizes)
    return doubt, 0 if normalizes and piece.kind != last else 1, begins, int(piece.kind != last)


def _connected(placed: list[Piece], spare: list[Piece] | None, between: set[str] | None) -> list[_Step] | None:
    """The layers with what stands between them; None where one does not take what the one before it gives.

    spare: the layers without weights where their places are not told; those that get one here are taken out of it.
    """
    known = bool(spare)  # files of older versions have no trace of such layers
    steps: list[_Step] = []
    state: _State | None = None
    for number, piece in enumerate(placed):
        joined = _joined(state, piece, between)
        if joined is None:
            return None
        after, before, more, _ = joined
        if spare is not None and state is not None and piece.kind == "Dense" and state.form in (STEPS, "2", "3"):
            before, flat = before or _pooled(state, spare, known), [p for p in spare if p.kind in FLATTENS]
            after = _State(after.channels, FLAT if before else after.form)
            spare[:] = [p for p in spare if p not in flat[:1] or not before]
        if spare and before.startswith(_BY_STEPS):
            before = _named_steps(before, spare)
        options = [*piece.options, *more]
        following = [other for other in placed[number + 1 :] if other.kind]
        if piece.form == STEPS and "RETURN_SEQUENCES" in " ".join(options):
            sequences = _keeps_steps(following)
            if sequences and any(other.kind == "RepeatVector" for other in spare or ()):
                sequences = None  # it may stand here
            after = _State(after.channels, {True: STEPS, False: FLAT}.get(sequences, ANY))  # type: ignore[arg-type]
            if sequences is not None:
                options = [option.replace("RETURN_SEQUENCES", str(sequences)) for option in options]
            wanted = next((p.takes for p in following if p.takes), None)
            if piece.kind == "Bidirectional" and wanted and after.channels == 2 * wanted:
                options.append("merge_mode=MERGE_MODE")
                after = _State(wanted, after.form)
        steps.append(_Step(piece, before, tuple(options)))
        state = after
    return steps


def _named_steps(line: str, spare: list[Piece]) -> str:
    """A line for each TimeDistributed without weights, by its name: Keras would give that of another one again."""
    held = [piece for piece in spare if piece.kind == "TimeDistributed"]
    spare[:] = [piece for piece in spare if piece not in held]
    note = line.partition("  # ")[2]
    lines = [f"{_BY_STEPS}, name={_literal(piece.name)})," for piece in held]
    return "\n".join([*lines[:-1], f"{lines[-1]}  # {note}"])


def _pooled(state: _State, spare: list[Piece], known: bool) -> str:
    """The line between images, or steps, and a Dense layer that takes their channels."""
    flat = next((piece.kind for piece in spare if piece.kind in FLATTENS), None)
    if flat is not None:
        return f"layers.{flat}(),"
    rank = {"2": 2, "3": 3}.get(state.form)
    if known or rank is None:
        return ""
    return f"POOLING,  # layers.GlobalAveragePooling{rank}D(), layers.GlobalMaxPooling{rank}D() or layers.Flatten()"


def _keeps_steps(following: list[Piece]) -> bool | None:
    """Whether a recurrent layer must return its steps, as what follows says; None where both would do."""
    for piece in following:
        if piece.form == STEPS or piece.kind in FLATTENS or piece.kind == "TimeDistributed":
            return True
        if piece.kind == "RepeatVector":
            return False
        if piece.kind == "Dense":
            return None
    return None


def _source(file: str, steps: list[_Step], spare: list[Piece], ordered: bool) -> str:
    lines = [f"keras.Input({_input(steps)}),{_groups(steps)}"]
    for step in steps:
        if step.before:
            lines.append(step.before)
        # a name from a file is a literal, or one word in a comment; nothing else of it but numbers stands in the source
        name = step.piece.name
        named = [*step.options, f"name={_literal(name)}"] if "/" not in name else step.options
        note = ""
        if step.piece.kind == "Flatten":
            note = _flattened(steps, step)
        if step.piece.kind == UNKNOWN:
            lines.append(f"LAYER,  # {name}: a layer without weights{', or the input' if name == 'layer_0' else ''}")
            continue
        lines.append(f"layers.{step.piece.kind}({', '.join(named)}),{note}")
    text = "\n".join(lines)
    blanks, notes = list(_words(text)), []
    if blanks:
        notes.append(f"Put values in the place of {', '.join(blanks)}: a weights file does not tell them.")
    notes.append("Its order is that of the file." if ordered else "Its order is told by the shapes alone: check it.")
    if spare:
        kinds = ", ".join(piece.kind for piece in spare)
        notes.append(f"The file has also layers without weights, whose places it does not tell: {kinds}.")
    elif not ordered:
        notes.append("Layers without weights (pooling, dropout) are to be put in.")
    doc = "\n".join(textwrap.fill(note, 116) for note in notes)
    return (
        f'"""The architecture of {_plain(file)}, as far as its names and shapes tell it.\n\n{doc}\n"""\n\n'
        "import keras\nfrom keras import layers\n\n\n"
        "def build():\n    return keras.Sequential(\n        [\n"
        f"{textwrap.indent(text, ' ' * 12)}\n        ]\n    )\n"
    )


def _literal(name: str) -> str:
    return json.dumps(name) if name.isascii() else repr(name)


def _plain(name: str) -> str:
    """A file's name as it can stand in a docstring."""
    return re.sub(r"[^\w .()+-]", "_", name)


def _words(text: str) -> Iterator[str]:
    """The blanks in the text, each once."""
    code = "\n".join(line.partition("  # ")[0] for line in text.splitlines())
    code = re.sub(r"""(["'])(\\.|(?!\1).)*\1""", "", code)
    yield from dict.fromkeys(word for word in re.findall(r"(?<![.\w])[A-Z][A-Z_]+\b(?!\()", code))


def _input(steps: list[_Step]) -> str:
    first = next((step.piece for step in steps if step.piece.weights), steps[0].piece)
    if first.kind == "Embedding":
        flattened = next((s for s in steps if "Flatten" in s.before or s.piece.kind == "Flatten"), None)
        dense = next((s.piece for s in steps if s.piece.kind == "Dense"), None)
        known = (
            flattened is not None
            and dense is not None
            and first.gives
            and dense.takes
            and dense.takes % first.gives == 0
        )
        length = str(dense.takes // first.gives) if known else "None"  # type: ignore[union-attr,operator]
        return f'({length},), dtype="int32"'
    if first.form in ("2", "3"):
        sizes = ", ".join(("HEIGHT", "WIDTH", "DEPTH")[: int(first.form)])
        return f"({sizes}, {first.takes})"
    if first.form in _IMAGES_BY_STEPS:
        sizes = ", ".join(("HEIGHT", "WIDTH", "DEPTH")[: int(first.form[-1])])
        return f"(STEPS, {sizes}, {first.takes})"
    if first.form == STEPS:
        flattens = any("Flatten" in step.before or step.piece.kind == "Flatten" for step in steps)
        return f"({'STEPS' if flattens else 'None'}, {first.takes})"
    return f"({first.takes},)" if first.takes else "INPUT_SHAPE"


def _groups(steps: list[_Step]) -> str:
    """What a kernel that is no image's says of the input: with groups it takes a part of the channels."""
    first = next((step.piece for step in steps if step.piece.weights), steps[0].piece)
    plain = first.kind.startswith("Conv") and not first.kind.endswith("Transpose")
    if not plain or not first.takes or first.takes in (1, 3) or (first.gives or 1) < 2:
        return ""
    return f"  # {first.takes} channels; with groups=N in the convolution N times as many"


def _flattened(steps: list[_Step], step: _Step) -> str:
    """What the Dense layer behind a Flatten says of the images before it."""
    at = steps.index(step)
    before = next((s.piece for s in reversed(steps[:at]) if s.piece.gives), None)
    behind = next((s.piece for s in steps[at:] if s.piece.kind == "Dense"), None)
    if before is None or behind is None or not before.gives or not behind.takes or behind.takes % before.gives:
        return ""
    return f"  # {_positions(behind.takes, before.gives, before.after if before.after != ANY else before.form)}"
