"""Operators of attention."""

from __future__ import annotations

from bridge.graph import Node
from bridge.torch_side.operators.form import Known, dtype, integer, number, operator, outputs, present, word
from bridge.torch_side.operators.functions import attention as functions
from bridge.torch_side.writing.part import Part


def _given(node: Node, *indices: int) -> str:
    return ", ".join(f"{{{i}}}" if present(node, i) else "None" for i in indices)


@operator("Attention")
def attention(node: Node, known: Known) -> Part:
    options = {
        "scale": number(node, "scale", 0.0) if "scale" in node.attributes else None,
        "causal": bool(integer(node, "is_causal", 0)) or None,
        "heads": integer(node, "q_num_heads", 0) or None,
        "key_heads": integer(node, "kv_num_heads", 0) or None,
        "softcap": number(node, "softcap", 0.0) or None,
        "scores_as": integer(node, "qk_matmul_output_mode", 0) or None,
        "left": integer(node, "left_window_size", -1) if integer(node, "left_window_size", -1) >= 0 else None,
        "right": integer(node, "right_window_size", -1) if integer(node, "right_window_size", -1) >= 0 else None,
        "precision": dtype(integer(node, "softmax_precision", 0)) if integer(node, "softmax_precision", 0) else None,
    }
    more = "".join(f", {name}={value}" for name, value in options.items() if value is not None)
    last = max(i for i in range(7) if present(node, i))
    call = f"attention({_given(node, *range(last + 1))}{more})"
    return Part(call=outputs(node, call, 4), functions=(functions.attention,))


@operator("RotaryEmbedding")
def rotate(node: Node, known: Known) -> Part:
    interleaved, size = bool(integer(node, "interleaved", 0)), integer(node, "rotary_embedding_dim", 0)
    call = f"rotated({{0}}, {_given(node, 1, 2, 3)}, {interleaved}, {size}, {integer(node, 'num_heads', 0)})"
    return Part(call=call, functions=(functions.rotated,))


@operator("LinearAttention")
def linear_attention(node: Node, known: Known) -> Part:
    heads = f"{integer(node, 'q_num_heads', 1)}, {integer(node, 'kv_num_heads', 1)}"
    call = f"linear_attention({_given(node, *range(6))}, {heads}, {number(node, 'scale', 0.0)!r})"
    return Part(call=outputs(node, call, 2), functions=(functions.linear_attention,))


@operator("CausalConvWithState")
def causal_convolution(node: Node, known: Known) -> Part:
    silu = word(node, "activation", "none", "silu", "swish") != "none"
    call = f"causal_convolution({_given(node, *range(4))}, {silu})"
    return Part(call=outputs(node, call, 2), functions=(functions.causal_convolution,))
