"""The layers of a weights-only file as far as names and shapes tell them: class, sizes, what it takes and gives."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import groupby

import keras
from keras.src.utils.naming import to_snake_case

from bridge.keras_side.files import legacy, listing, tree
from bridge.keras_side.files.hdf5 import Weights

Shape = tuple[int, ...]
Named = dict[str, Shape]
UNKNOWN = "?"  # the class of a layer without weights whose name says nothing
ANY, FLAT, STEPS = "any", "flat", "steps"  # what a layer's rows are: one vector, or a vector a step ("2", "3": images)
BY_STEPS = {FLAT: STEPS, "2": "steps of 2", "3": "steps of 3"}  # what rows are of which each step is such a one
_CLASSES = {to_snake_case(name): name for name, kind in vars(keras.layers).items() if isinstance(kind, type)}
del _CLASSES["layer"]  # of no class of its own: what a checkpoint numbers is called so
_RECURRENT = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
_CONVOLUTION = re.compile(r"(Depthwise|Separable)?Conv([123])D(Transpose)?")


@dataclass(frozen=True)
class Piece:
    """A layer. takes, gives: channels, None where any or the same; form: what its rows are before it, after: behind it.

    options: of its constructor, what is known as source and what is not in capitals.
    """

    name: str
    kind: str  # "Conv2D"; "" where nothing tells it
    weights: Named = field(default_factory=dict)
    takes: int | None = None
    gives: int | None = None
    form: str = ANY
    after: str = ANY
    options: tuple[str, ...] = ()
    number: int = 0  # among those of its class, where the file tells no other order


def pieces(file: Weights) -> tuple[list[Piece], bool] | None:
    """All layers of the file, those without weights too; and whether they are in the model's order.

    None for a file whose layers hold further ones: a nested model.
    """
    base = legacy.root(file)
    found = _in_tree(file) if base is None else _in_legacy(file, base)
    return None if found is None else ([_described(piece) for piece in found], base is not None and file.ordered)


def _in_legacy(file: Weights, base: str) -> list[Piece] | None:
    held = {group.name: group for group in legacy.groups(file, base)}
    found = []
    for name in file.strings(base, "layer_names") or []:
        group = held.get(name)
        weights = {group.inner(w): file.shape(path) for w, path in group.weights.items()} if group else {}
        kind = _CLASSES.get(re.sub(r"_\d+$", "", name), "")
        if kind == "InputLayer":
            continue
        if legacy.TOP in held or _is_nested(kind, weights):
            return None
        found.append(Piece(name, kind, {_short(word): shape for word, shape in weights.items()}))
    if [piece.kind for piece in found[:2]] == ["", "Embedding"] and not found[0].weights:
        del found[0]  # a checkpoint has the input as a layer too; behind another one nothing could be looked up
    return found


def _in_tree(file: Weights) -> list[Piece] | None:
    groups = {g.split("/")[1] for g in file.groups if g.startswith("layers/")}
    if "vars" in {path.split("/")[0] for path in file.datasets} or not groups:
        return None
    saved = tree.saved(file)
    found = []
    for group in sorted(groups, key=listing.natural):
        stem, _, number = group.rpartition("_")
        number, stem = (number, stem) if re.fullmatch(r"\d{1,9}", number) and stem in _CLASSES else ("0", group)
        kind = _CLASSES.get(stem, "")
        inner = {g.removeprefix(f"layers/{group}").strip("/"): keys for g, keys in saved.items() if _within(g, group)}
        if any(part.startswith("layers") for part in inner):
            return None
        weights = {
            f"{part}/{key}".lstrip("/"): file.shape(p)
            for part, ks in sorted(inner.items(), reverse=True)
            for key, p in ks.items()
        }
        named = _words(kind, weights)
        if kind != "InputLayer":
            name = listing.layer_path(file, f"layers/{group}")
            found.append(Piece(name, kind, named, number=int(number)))
    return found


def _within(group: str, layer: str) -> bool:
    return group == f"layers/{layer}" or group.startswith(f"layers/{layer}/")


def _is_nested(kind: str, weights: Named) -> bool:
    holds = (*_RECURRENT, "Bidirectional", "TimeDistributed", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
    return kind not in holds and any("/" in word for word in weights)


def _short(word: str) -> str:
    """`forward/kernel` of `forward_lstm/lstm_cell/kernel`, `kernel` of `lstm_cell/kernel`."""
    side = re.match(r"(forward|backward)_", word)
    return f"{side[1]}/{word.rpartition('/')[2]}" if side else word.rpartition("/")[2]


def _words(kind: str, weights: Named) -> Named:
    """The layer's own words for weights that the file numbers."""
    sizes = list(weights.values())
    if kind in _RECURRENT:
        return dict(zip(("kernel", "recurrent_kernel", "bias"), sizes, strict=False))
    if kind == "Bidirectional":
        half = len(sizes) // 2
        words = [
            f"{side}/{w}" for side in ("forward", "backward") for w in ("kernel", "recurrent_kernel", "bias")[:half]
        ]
        return dict(zip(words, sizes, strict=False))
    if match := _CONVOLUTION.fullmatch(kind):
        words = ("depthwise_kernel", "pointwise_kernel", "bias") if match[1] == "Separable" else ("kernel", "bias")
        return dict(zip(words, sizes, strict=False))
    names = {"Dense": ("kernel", "bias"), "Embedding": ("embeddings",), "PReLU": ("alpha",)}
    names |= {"LayerNormalization": ("gamma", "beta"), "Normalization": ("mean", "variance", "count")}
    if kind == "BatchNormalization":
        words = {4: ("gamma", "beta"), 3: ("gamma or beta",)}.get(len(sizes), ())
        return dict(zip((*words, "moving_mean", "moving_variance"), sizes, strict=False))
    return dict(zip(names.get(kind, tuple(weights)), sizes, strict=False))


def _described(piece: Piece) -> Piece:
    """The piece with what its weights' shapes say."""
    weights, kind = piece.weights, piece.kind or _guessed(piece.weights)
    piece = replace(piece, kind=kind)
    kernel, bias = weights.get("kernel", ()), "bias" in weights
    unbiased = () if bias else ("use_bias=False",)
    if kind == "Dense" and len(kernel) == 2:
        options = (str(kernel[1]), "activation=ACTIVATION", *unbiased)
        return replace(piece, takes=kernel[0], gives=kernel[1], options=options)
    if match := _CONVOLUTION.fullmatch(kind):
        return _convolution(piece, match, unbiased)
    if kind in _RECURRENT and len(kernel) == 2:
        return _recurrent(piece, weights)
    if kind == "Bidirectional" and len(weights.get("forward/kernel", ())) == 2:
        inner = {word.removeprefix("forward/"): shape for word, shape in weights.items() if "forward/" in word}
        return _recurrent(piece, inner)
    if kind == "TimeDistributed":
        return _by_steps(piece)
    if kind == "Embedding" and len(weights.get("embeddings", ())) == 2:
        size, width = weights["embeddings"]
        return replace(piece, gives=width, after=STEPS, options=(str(size), str(width)))
    if kind in ("BatchNormalization", "LayerNormalization", "Normalization", "PReLU", "GroupNormalization") and weights:
        return _normalization(piece)
    if not weights:
        return _weightless(piece)
    return replace(piece, kind="")


def _by_steps(piece: Piece) -> Piece:
    """A layer that is applied to each step: what the weights say of the one within."""
    if not piece.weights:
        return replace(piece, form=ANY, after=UNKNOWN, options=("LAYER",))
    inner = _described(Piece(piece.name, "", _numbered(piece.weights)))
    if not inner.kind or inner.kind in (*_RECURRENT, "Bidirectional", "Embedding"):
        return replace(piece, kind="")
    form = BY_STEPS[inner.form if inner.form in BY_STEPS else FLAT]
    line = f"layers.{inner.kind}({', '.join(inner.options)})"
    return replace(piece, takes=inner.takes, gives=inner.gives, form=form, after=form, options=(line,))


def _numbered(weights: Named) -> Named:
    """The words that a layer of which the file tells no class may have for weights that the file numbers."""
    sizes = list(weights.values())
    if any(not re.search(r"(^|/)\d+$", word) for word in weights):
        return weights
    if len(sizes) <= 2 and len(sizes[0]) > 1 and sizes[1:] in ([], [sizes[0][-1:]]):
        return dict(zip(("kernel", "bias"), sizes, strict=False))
    if len(sizes) == 4 and len({*sizes}) == 1:
        return _words("BatchNormalization", weights)
    return weights


def _guessed(weights: Named) -> str:
    """The class by the names and shapes of the weights."""
    kernel = weights.get("kernel", ())
    if "moving_mean" in weights:
        return "BatchNormalization"
    if "forward/kernel" in weights:
        return "Bidirectional"
    if "embeddings" in weights:
        return "Embedding"
    if {*weights} == {"gamma", "beta"}:
        return "LayerNormalization"
    if {*weights} == {"alpha"}:
        return "PReLU"
    if "depthwise_kernel" in weights:
        rank = len(weights["depthwise_kernel"]) - 2
        return f"SeparableConv{rank}D" if "pointwise_kernel" in weights else f"DepthwiseConv{rank}D"
    if "recurrent_kernel" in weights and len(kernel) == 2:
        gates = {gates: kind for kind, gates in _RECURRENT.items()}
        return gates.get(kernel[1] // max(weights["recurrent_kernel"][0], 1), "")
    if {*weights} <= {"kernel", "bias"} and "kernel" in weights:
        bias = weights.get("bias", kernel[-1:])
        if bias != kernel[-1:]:  # (height, width, in, multiplier) of a depthwise one gives in * multiplier
            return f"DepthwiseConv{len(kernel) - 2}D" if len(kernel) in (3, 4) else ""
        return {2: "Dense", 3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}.get(len(kernel), "")
    return ""


def _convolution(piece: Piece, match: re.Match[str], unbiased: tuple[str, ...]) -> Piece:
    special, rank, transposed = match[1], int(match[2]), match[3]
    kernel = piece.weights.get("depthwise_kernel") or piece.weights.get("kernel", ())
    if len(kernel) != rank + 2:
        return replace(piece, kind="")
    *sizes, one, two = kernel
    window = str(sizes[0]) if len(set(sizes)) == 1 else f"({', '.join(map(str, sizes))})"
    form = STEPS if rank == 1 else str(rank)
    options = [window, "strides=STRIDES", "padding=PADDING", "activation=ACTIVATION", *unbiased]
    multiplier = [f"depth_multiplier={two}"] if special and two != 1 else []
    takes, gives = (two, one) if transposed else (one, two)
    if special == "Depthwise":
        return replace(piece, takes=one, gives=one * two, form=form, after=form, options=(*options, *multiplier))
    if special == "Separable":
        gives = piece.weights.get("pointwise_kernel", (0,))[-1]
        options += multiplier
    return replace(piece, takes=takes, gives=gives, form=form, after=form, options=(str(gives), *options))


def _recurrent(piece: Piece, weights: Named) -> Piece:
    units = weights.get("recurrent_kernel", (0,))[0]
    kernel, bias = weights["kernel"], weights.get("bias")
    kind = (
        piece.kind
        if piece.kind in _RECURRENT
        else {v: k for k, v in _RECURRENT.items()}.get(kernel[1] // max(units, 1), "")
    )
    if not kind or kernel[1] != units * _RECURRENT[kind]:
        return replace(piece, kind="")
    options = [str(units)] + ([] if bias else ["use_bias=False"])
    if kind == "GRU" and (bias is None or len(bias) == 1):
        options.append("reset_after=False" if bias else "reset_after=RESET_AFTER")
    gives = units
    if piece.kind == "Bidirectional":
        options = [f"layers.{kind}({', '.join([*options, 'return_sequences=RETURN_SEQUENCES'])})"]
        gives = 2 * units  # by its default, concat
    else:
        options.append("return_sequences=RETURN_SEQUENCES")
    return replace(piece, takes=kernel[0], gives=gives, form=STEPS, options=tuple(options))


def _normalization(piece: Piece) -> Piece:
    weights, kind = piece.weights, piece.kind
    size = next(iter(weights.values()))
    options: tuple[str, ...] = ()
    if kind in ("BatchNormalization", "LayerNormalization", "GroupNormalization"):
        if "gamma or beta" in weights:
            options = ("scale=SCALE", "center=CENTER")
        else:
            lacking = [("gamma", "scale"), ("beta", "center")]
            options = tuple(f"{option}=False" for word, option in lacking if word not in weights)
        options += ("groups=GROUPS",) if kind == "GroupNormalization" else ()
    if kind == "PReLU":
        shared = [axis for axis, length in enumerate(size, 1) if length == 1]
        options = (f"shared_axes={shared}",) if len(size) > 1 and shared else ()
    return replace(piece, takes=size[-1] if size else None, options=options)


_BLANKS = {
    **{
        f"{kind}Pooling{rank}D": ("POOL_SIZE", "strides=STRIDES", "padding=PADDING")
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
    },
    **{f"ZeroPadding{rank}D": ("PADDING",) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": ("CROPPING",) for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": ("SIZE",) for rank in (1, 2, 3)},
    **{f"SpatialDropout{rank}D": ("RATE",) for rank in (1, 2, 3)},
    **{kind: ("RATE",) for kind in ("Dropout", "GaussianDropout", "AlphaDropout")},
    **{"GaussianNoise": ("STDDEV",), "Activation": ("ACTIVATION",), "Reshape": ("TARGET_SHAPE",)},
    **{
        "Permute": ("DIMS",),
        "RepeatVector": ("N",),
        "Rescaling": ("SCALE", "OFFSET"),
        "LeakyReLU": ("NEGATIVE_SLOPE",),
    },
    **{kind: () for kind in ("ReLU", "Softmax", "ELU", "Flatten", "Masking", "Identity")},
    **{f"Global{kind}Pooling{rank}D": () for kind in ("Max", "Average") for rank in (1, 2, 3)},
}
FLATTENS = ("Flatten", *(f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))


def _weightless(piece: Piece) -> Piece:
    """A layer of which the file has the name alone. Those that join several tensors are in no stack."""
    if not piece.kind and piece.name.isidentifier():
        return replace(piece, kind=UNKNOWN)
    if piece.kind not in _BLANKS:
        return replace(piece, kind="", options=())
    after = FLAT if piece.kind in FLATTENS else STEPS if piece.kind == "RepeatVector" else ANY
    return replace(piece, options=_BLANKS[piece.kind], after=after)


def by_class(listed: list[Piece]) -> list[list[Piece]]:
    """The pieces of each class in their own order."""
    keyed = sorted(listed, key=lambda piece: (piece.kind, piece.number))
    return [list(group) for _, group in groupby(keyed, key=lambda piece: piece.kind)]
