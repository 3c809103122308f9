"""The bodies of the layers that take numbers of things: embeddings and encodings."""

from __future__ import annotations

from bridge.graph.body import Refused, body, integers, number, numbers, refuse_option
from bridge.graph.layer import Layer, Shape


@body("Embedding")
def embedding(layer: Layer, shapes: list[Shape]) -> str:
    return embedded(layer, "x")


def embedded(layer: Layer, x: str) -> str:
    """y = the row of the embeddings that each number of x says; x is int32 or int64."""
    refuse_option(layer, lora_rank=None, quantization_mode=None)
    return f"y = Gather(embeddings, {x})"


@body("ReversibleEmbedding")
def reversible_embedding(layer: Layer, shapes: list[Shape]) -> str:
    """Embedding, or with reverse=True y = x @ embeddings' (tied) or x @ reverse_embeddings, softly capped."""
    refuse_option(layer, lora_rank=None, quantization_mode=None)
    if not layer.config["reverse"]:
        return "y = Gather(embeddings, x)"
    if layer.config.get("reverse_dtype") not in (None, "float32"):
        raise Refused(f"its option reverse_dtype={layer.config['reverse_dtype']!r} is not supported, only 'float32'")
    tied = "reverse_embeddings" not in layer.weights
    lines = "turned = Transpose <perm = [1, 0]> (embeddings)\n" if tied else ""
    lines += f"logits = MatMul(x, {'turned' if tied else 'reverse_embeddings'})\n"
    cap = layer.config.get("logit_soft_cap")
    if cap is None:
        return lines + "y = Identity(logits)"
    return lines + number("cap", cap) + "part = Div(logits, cap)\nsoft = Tanh(part)\ny = Mul(soft, cap)"


@body("CategoryEncoding")
def category_encoding(layer: Layer, shapes: list[Shape]) -> str:
    """One-hot vectors of x, or their maximum or sum over a row; other numbers than the tokens give zeros."""
    mode = encoding_mode(layer, shapes[0])
    if len(shapes) > 1:
        raise Refused("it is called with count_weights")
    return "tokens = Cast <to = 7> (x)\n" + encoded("tokens", mode, int(layer.config["num_tokens"]), shapes[0])


@body("Discretization")
def discretization(layer: Layer, shapes: list[Shape]) -> str:
    """How many of the boundaries are <= x: int32, or encoded as CategoryEncoding does."""
    lines = numbers("bounds", boundaries(layer)) + integers("end", [-1]) + "wide = Unsqueeze(x, end)\n"
    lines += "over = GreaterOrEqual(wide, bounds)\nones = Cast <to = 7> (over)\n"
    lines += "bins = ReduceSum <keepdims = 0> (ones, end)\n"
    if layer.config["output_mode"] == "int":
        return lines + "y = Cast <to = 6> (bins)"
    mode = encoding_mode(layer, shapes[0])
    return lines + encoded("bins", mode, len(boundaries(layer)) + 1, shapes[0])


def boundaries(layer: Layer) -> list[float]:
    """The boundaries of a Discretization layer, in rising order."""
    found = layer.config["bin_boundaries"]
    if not found or sorted(found) != list(found):
        raise Refused("its bin_boundaries are not given in rising order; adapt the layer first")
    return list(found)


def encoding_mode(layer: Layer, shape: Shape) -> str:
    """The output mode of an encoding layer: one_hot, or multi_hot or count over the only axis behind the batch."""
    if layer.config.get("sparse"):
        raise Refused("its option sparse=True is not supported")
    mode = str(layer.config["output_mode"])
    if mode != "one_hot" and len(shape) != 2:
        raise Refused(f"output_mode={mode!r} of an input that is not (batch, numbers)")
    return mode


def encoded(indices: str, mode: str, depth: int, shape: Shape, y: str = "y") -> str:
    """Lines that define `y`, the encoding of int64 indices: (..., numbers) -> (..., depth)."""
    lines = ""
    if mode == "one_hot" and len(shape) > 1 and shape[-1] == 1:
        lines += integers("one", [-1]) + f"narrow = Squeeze({indices}, one)\n"
        indices = "narrow"
    lines += one_hot(indices, depth)
    if mode == "one_hot":
        return f"{lines}{y} = Identity(hot)"
    operator = "ReduceMax" if mode == "multi_hot" else "ReduceSum"
    return f"{lines}{integers('row', [1])}{y} = {operator} <keepdims = 0> (hot, row)"


def one_hot(indices: str, depth: int) -> str:
    """Lines that define `hot`: a last axis of length depth, 1 where the index is. OneHot would count from the end."""
    lines = "first = Constant <value_int = 0> ()\nstep = Constant <value_int = 1> ()\n"
    lines += f"depth = Constant <value_int = {depth}> ()\nrange = Range(first, depth, step)\n" + integers("last", [-1])
    return f"{lines}column = Unsqueeze({indices}, last)\nis = Equal(column, range)\nhot = Cast <to = 1> (is)\n"
