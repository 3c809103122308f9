"""The body of IntegerLookup: the place of each whole number in a vocabulary, or the number at a place."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.graph.bodies.embedding import encoded, encoding_mode
from bridge.graph.body import Refused, body, integers, numbers
from bridge.graph.layer import Layer, Shape

DROPPED = 2**63 - 1  # where Keras sends what is masked in an encoding: beyond every place


@dataclass(frozen=True)
class Table:
    """keys, sorted, and the value of each. Other numbers: oov_start + number mod oov, or `default` where oov is 0.

    mask: the number that becomes `masked`, whatever the table says.
    """

    keys: tuple[int, ...]
    values: tuple[int, ...]
    default: int
    oov_start: int
    oov: int
    mask: int | None
    masked: int


def table_of(layer: Layer) -> Table:
    """The table of an IntegerLookup layer, as Keras fills it. Raises Refused for what is not done."""
    config = layer.config
    vocabulary, mask, oov = config["vocabulary"], config["mask_token"], int(config["num_oov_indices"])
    if not vocabulary:
        raise Refused(
            "its vocabulary is empty; adapt the layer, or give it one (a full .h5 keeps none: save as .keras)"
        )
    if config.get("oov_method", "floormod") != "floormod" and oov > 1:
        raise Refused(f"its option oov_method={config['oov_method']!r} is not supported, only 'floormod'")
    inverse, to_places = bool(config["invert"]), config["output_mode"] == "int"
    if not oov and not inverse:
        raise Refused("with num_oov_indices=0 Keras stops at a number that is not in the vocabulary, ONNX can't")
    oov_start = 1 if mask is not None and to_places else 0
    places, tokens = range(oov_start + oov, oov_start + oov + len(vocabulary)), [int(token) for token in vocabulary]
    keys, values = (list(places), tokens) if inverse else (tokens, list(places))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    default = int(config["oov_token"]) if inverse else oov_start
    masked = 0 if to_places else DROPPED
    if mask is not None and inverse:
        mask, masked = 0, int(mask)
    return Table(
        tuple(keys[i] for i in order),
        tuple(values[i] for i in order),
        default,
        oov_start,
        oov if oov > 1 and not inverse else 0,
        None if mask is None else int(mask),
        masked,
    )


def lookup_depth(layer: Layer) -> int:
    """How many places an encoding has."""
    config = layer.config
    mask = config["mask_token"] is not None and config["output_mode"] == "int"
    held = len(config["vocabulary"]) + int(config["num_oov_indices"]) + mask
    return int(config["max_tokens"]) if config["pad_to_max_tokens"] else held


def idf_weights(layer: Layer) -> list[float]:
    """The weight of each place for output_mode="tf_idf"."""
    found = [float(weight) for weight in layer.config["idf_weights"] or ()]
    if len(found) != lookup_depth(layer):
        raise Refused("it has not as many idf_weights as places; adapt the layer, or give it some")
    return found


@body("IntegerLookup")
def integer_lookup(layer: Layer, shapes: list[Shape]) -> str:
    """The place of each number in the vocabulary by binary search: int64; or encoded: int64, float32 for tf_idf."""
    lines = "n = Cast <to = 7> (x)\n" + _searched(table_of(layer))
    mode = str(layer.config["output_mode"])
    if mode == "int":
        return f"{lines}y = Identity(found)"
    encoding_mode(layer, shapes[0])  # refuses sparse outputs and other ranks
    depth = lookup_depth(layer)
    if mode != "tf_idf":
        return f"{lines}{encoded('found', mode, depth, shapes[0], 'e')}\ny = Cast <to = 7> (e)"
    lines += encoded("found", "count", depth, shapes[0], "e")
    return f"{lines}\n{numbers('idf', idf_weights(layer), 'e')}y = Mul(e, idf)"


def _searched(table: Table) -> str:
    """Lines that define `found` for the int64 numbers `n`."""
    size = len(table.keys)
    lines = integers("keys", table.keys) + integers("values", table.values)
    lines += f"size = Constant <value_int = {size}> ()\nend = Constant <value_int = {size - 1}> ()\n"
    lines += "zero = Constant <value_int = 0> ()\np0 = Mul(n, zero)\n"
    step, last = 1 << (size.bit_length() - 1), "p0"
    while step:  # p: how far the keys are known to be <= n
        lines += f"s{step} = Constant <value_int = {step}> ()\na{step} = Add({last}, s{step})\n"
        lines += f"l{step} = Sub(a{step}, unit)\nc{step} = Min(l{step}, end)\nk{step} = Gather(keys, c{step})\n"
        lines += f"i{step} = LessOrEqual(a{step}, size)\nb{step} = LessOrEqual(k{step}, n)\n"
        lines += f"t{step} = And(i{step}, b{step})\n"
        lines += f"q{step} = Where(t{step}, a{step}, {last})\n"
        last, step = f"q{step}", step // 2
    lines = "unit = Constant <value_int = 1> ()\n" + lines
    lines += f"before = Sub({last}, unit)\nplace = Max(before, zero)\nkey = Gather(keys, place)\nheld = Equal(key, n)\n"
    lines += "value = Gather(values, place)\n"
    if table.oov:
        lines += f"buckets = Constant <value_int = {table.oov}> ()\nbucket = Mod(n, buckets)\n"
        lines += f"start = Constant <value_int = {table.oov_start}> ()\nother = Add(bucket, start)\n"
    else:
        lines += f"other = Constant <value_int = {table.default}> ()\n"
    if table.mask is None:
        return lines + "found = Where(held, value, other)\n"
    lines += f"inside = Where(held, value, other)\nmask = Constant <value_int = {table.mask}> ()\n"
    lines += f"masked = Constant <value_int = {table.masked}> ()\n"
    return lines + "hidden = Equal(n, mask)\nfound = Where(hidden, masked, inside)\n"
