"""The cases of the attention layers."""

from dataclasses import replace

from case import config, rows

QUERY_VALUE = ("query", "value")
LAST_MASK = ("query", "value", "attention_mask")
HEADS = {"num_heads": 2, "key_dim": 3}
CAUSAL, SCORES = {"use_causal_mask": True}, {"return_attention_scores": True}
ALL_MASKS = ("query", "value", "key", "value_mask", "key_mask", "attention_mask")
EACH = (  # the options of both layers with heads: name, options, call, named, shapes
    ("self", {}, {}, QUERY_VALUE, (4, 6), (4, 6)),
    ("cross", {}, {}, QUERY_VALUE, (3, 6), (4, 6)),
    ("key", {}, {}, ("query", "value", "key"), (3, 6), (4, 6), (4, 6)),
    ("open_axes", {}, {}, QUERY_VALUE, (None, 6), (None, 6)),
    ("no_bias", {"use_bias": False}, {}, QUERY_VALUE, (3, 6), (4, 6)),
    ("gate", {"use_gate": True}, {}, QUERY_VALUE, (3, 6), (4, 6)),
    ("causal", {}, {"use_causal_mask": True}, QUERY_VALUE, (4, 6), (4, 6)),
    ("causal_cross", {}, {"use_causal_mask": True}, QUERY_VALUE, (5, 6), (3, 6)),
    ("causal_short", {}, {"use_causal_mask": True}, QUERY_VALUE, (3, 6), (5, 6)),
    ("mask", {}, {}, LAST_MASK, (3, 6), (4, 6), (3, 4)),
    ("mask_for_heads", {}, {}, LAST_MASK, (3, 6), (4, 6), (2, 3, 4)),
    ("causal_mask", {}, {"use_causal_mask": True}, LAST_MASK, (4, 6), (4, 6), (4, 4)),
    ("masks", {}, {}, ALL_MASKS, (3, 6), (4, 6), (4, 6), (4,), (4,), (3, 4)),
    ("window", {"sliding_window": 2}, {}, QUERY_VALUE, (4, 6), (4, 6)),
    ("window_causal_mask", {"sliding_window": 2}, {"use_causal_mask": True}, LAST_MASK, (4, 6), (4, 6), (4, 4)),
    ("scores", {}, {"return_attention_scores": True}, QUERY_VALUE, (3, 6), (3, 6)),
    ("scores_mask", {}, {"return_attention_scores": True}, LAST_MASK, (3, 6), (3, 6), (3, 3)),
    (
        "scores_causal",
        {},
        {"return_attention_scores": True, "use_causal_mask": True},
        QUERY_VALUE,
        (3, 6),
        (3, 6),
    ),
    ("frozen", {"trainable": False}, {}, QUERY_VALUE, (3, 6), (4, 6)),
    (
        "regularized",
        {
            "kernel_regularizer": config("L2", l2=0.3),
            "bias_regularizer": config("L1", l1=0.2),
            "kernel_constraint": config("MaxNorm", max_value=0.4, axis=0),
            "bias_constraint": config("NonNeg"),
        },
        {},
        QUERY_VALUE,
        (3, 6),
        (4, 6),
    ),
)

LISTS = (  # the options of both layers without heads
    ("self", {}, {}, QUERY_VALUE, (4, 6)),
    ("cross", {}, {}, QUERY_VALUE, (3, 6), (4, 6)),
    ("key", {}, {}, ("query", "value", "key"), (3, 6), (4, 5), (4, 6)),
    ("open_axes", {}, {}, QUERY_VALUE, (None, 6), (None, 6)),
    ("scale", {"use_scale": True}, {}, QUERY_VALUE, (3, 6), (4, 6)),
    ("no_scale", {"use_scale": False}, {}, QUERY_VALUE, (3, 6), (4, 6)),
    ("causal", {}, {"use_causal_mask": True}, QUERY_VALUE, (4, 6), (3, 6)),
    ("query_mask", {}, {}, ("query", "value", "query_mask"), (3, 6), (4, 6), (3,)),
    ("value_mask", {}, {}, ("query", "value", "value_mask"), (3, 6), (4, 6), (4,)),
    (
        "masks",
        {},
        {"use_causal_mask": True},
        ("query", "value", "key", "query_mask", "value_mask"),
        (3, 6),
        (4, 6),
        (4, 6),
        (3,),
        (4,),
    ),
    ("scores", {}, {"return_attention_scores": True}, QUERY_VALUE, (3, 6), (4, 6)),
    ("axes", {"use_scale": True}, SCORES, QUERY_VALUE, (2, 3, 6), (2, 4, 6)),
    ("axes_masks", {}, CAUSAL, ("query", "value", "query_mask", "value_mask"), (2, 3, 6), (2, 4, 6), (2, 3), (2, 4)),
    ("frozen", {"use_scale": True, "trainable": False}, {}, QUERY_VALUE, (3, 6), (4, 6)),
)


def called(kind, *listed, **common):
    """Rows of (name, options, call, named, shape, shape, ...)."""
    return [
        replace(case, call=call, named=named)
        for name, options, call, named, *shapes in listed
        for case in rows(kind, (name, options, *shapes), **common)
    ]


CASES = [
    *called("MultiHeadAttention", *[(name, HEADS | options, *rest) for name, options, *rest in EACH]),
    *called(
        "MultiHeadAttention",
        ("features", HEADS, {}, ("query", "value", "key"), (3, 6), (4, 5), (4, 7)),
        ("value_dim", {**HEADS, "value_dim": 4}, {}, QUERY_VALUE, (3, 6), (4, 6)),
        ("gate_value_dim", {**HEADS, "value_dim": 4, "use_gate": True}, {}, QUERY_VALUE, (3, 6), (4, 6)),
        ("output_shape", {**HEADS, "output_shape": 5}, {}, QUERY_VALUE, (3, 6), (4, 6)),
        ("output_axes", {**HEADS, "output_shape": (2, 5)}, {}, QUERY_VALUE, (3, 6), (4, 6)),
        ("one_head", {"num_heads": 1, "key_dim": 3}, {}, QUERY_VALUE, (3, 6), (4, 6)),
        ("axes", HEADS, {}, QUERY_VALUE, (2, 3, 6), (3, 2, 6)),
        ("first_axis", {**HEADS, "attention_axes": 1}, {}, QUERY_VALUE, (3, 2, 6), (4, 2, 6)),
        ("second_axis", {**HEADS, "attention_axes": (2,), "use_gate": True}, {}, QUERY_VALUE, (2, 3, 6), (2, 4, 6)),
        (
            "axes_apart",
            {**HEADS, "attention_axes": (1, 3), "value_dim": 4},
            {},
            QUERY_VALUE,
            (2, 3, 2, 6),
            (3, 3, 1, 6),
        ),
        ("axes_turned", {**HEADS, "attention_axes": (2, 1)}, SCORES, QUERY_VALUE, (2, 3, 6), (3, 2, 6)),
        ("axes_open", {**HEADS, "output_shape": (2, 5)}, {}, QUERY_VALUE, (None, None, 6), (None, None, 6)),
        ("axes_causal", {**HEADS, "attention_axes": 1}, CAUSAL | SCORES, QUERY_VALUE, (3, 2, 6), (3, 2, 6)),
        ("axes_mask", {**HEADS, "attention_axes": 2}, {}, LAST_MASK, (2, 3, 6), (2, 4, 6), (3, 4)),
        ("axes_mask_for_others", {**HEADS, "attention_axes": 2}, SCORES, LAST_MASK, (2, 3, 6), (2, 4, 6), (2, 3, 4)),
        ("axes_mask_for_heads", {**HEADS, "attention_axes": 2}, {}, LAST_MASK, (2, 3, 6), (2, 4, 6), (2, 2, 3, 4)),
        ("axes_mask_of_pairs", HEADS, SCORES, LAST_MASK, (2, 3, 6), (1, 4, 6), (2, 3, 1, 4)),
        (
            "axes_masks",
            {**HEADS, "attention_axes": 2},
            {},
            ("query", "value", "value_mask", "attention_mask"),
            (2, 3, 6),
            (2, 4, 6),
            (2, 4),
            (2, 3, 4),
        ),
        ("mask_of_one", HEADS, CAUSAL, LAST_MASK, (3, 6), (4, 6), (1, 1, 4)),
        ("one_tensor", HEADS, {"use_causal_mask": True}, ("query", "value", "key"), (3, 6)),
        ("scores_cross", HEADS, {"return_attention_scores": True}, QUERY_VALUE, (3, 6), (4, 6)),
    ),
    *called(
        "GroupedQueryAttention",
        *[
            (name, {"head_dim": 3, "num_query_heads": 2, "num_key_value_heads": 1} | options, *rest)
            for name, options, *rest in EACH
        ],
        (
            "four_heads",
            {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
            {},
            QUERY_VALUE,
            (3, 6),
            (4, 6),
        ),
        ("all_heads", {"head_dim": 3, "num_query_heads": 2, "num_key_value_heads": 2}, {}, QUERY_VALUE, (3, 6), (4, 6)),
    ),
    *called("MultiHeadAttention", ("dropout", {**HEADS, "dropout": 0.4}, {}, QUERY_VALUE, (4, 6)), random=True),
    *called(
        "GroupedQueryAttention",
        (
            "dropout",
            {"head_dim": 3, "num_query_heads": 2, "num_key_value_heads": 1, "dropout": 0.4},
            {},
            QUERY_VALUE,
            (4, 6),
        ),
        random=True,
    ),
    *called("Attention", *LISTS),
    *called(
        "Attention",
        ("concat", {"score_mode": "concat"}, {}, QUERY_VALUE, (3, 6), (4, 6)),
        ("concat_scale", {"score_mode": "concat", "use_scale": True}, {}, QUERY_VALUE, (3, 6), (4, 6)),
    ),
    *called("AdditiveAttention", *LISTS),
    *called("Attention", ("dropout", {"dropout": 0.4}, {}, QUERY_VALUE, (4, 6)), random=True),
    *called("AdditiveAttention", ("dropout", {"dropout": 0.4}, {}, QUERY_VALUE, (4, 6)), random=True),
]
