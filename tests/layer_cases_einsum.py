"""The cases of EinsumDense."""

from case import config, rows

CASES = [
    *rows(
        "EinsumDense",
        ("dense", {"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "c"}),
        ("dense_rank3", {"equation": "abc,cd->abd", "output_shape": (3, 5), "bias_axes": "d"}, (3, 4)),
        ("dense_turned", {"equation": "ab,cb->ac", "output_shape": 3, "bias_axes": "c"}),
        ("dense_turned_no_bias", {"equation": "ab,cb->ac", "output_shape": 3}),
        ("no_bias", {"equation": "abc,cd->abd", "output_shape": (3, 5)}, (3, 4)),
        ("dots_before", {"equation": "...x,xy->...y", "output_shape": 5, "bias_axes": "y"}, (2, 3, 4)),
        ("dots_after", {"equation": "abc...,bd->adc...", "output_shape": (5, 3), "bias_axes": "d"}, (4, 3, 2)),
        ("open_axis", {"equation": "abc,cd->abd", "output_shape": (None, 5), "bias_axes": "d"}, (None, 4)),
        ("heads", {"equation": "abc,cde->abde", "output_shape": (None, 2, 5), "bias_axes": "de"}, (None, 4)),
        ("from_heads", {"equation": "abcd,cde->abe", "output_shape": (None, 5), "bias_axes": "e"}, (None, 2, 3)),
        ("steps", {"equation": "abc,bd->adc", "output_shape": (5, 4), "bias_axes": "d"}, (3, 4)),
        ("bias_of_two", {"equation": "abc,cd->abd", "output_shape": (3, 5), "bias_axes": "bd"}, (3, 4)),
        ("each_step", {"equation": "abc,bcd->abd", "output_shape": (3, 5), "bias_axes": "b"}, (3, 4)),
        ("scale", {"equation": "ab,b->ab", "output_shape": 6}),
        ("diagonal", {"equation": "abb,bbc->ac", "output_shape": 3, "bias_axes": "c"}, (4, 4)),
        ("diagonal_kept", {"equation": "abb,bc->abc", "output_shape": (4, 3)}, (4, 4)),
        ("capitals", {"equation": "aBc,cZ->aBZ", "output_shape": (3, 5), "bias_axes": "Z"}, (3, 4)),
        ("relu", {"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "c", "activation": "relu"}),
        ("softmax", {"equation": "abc,cde->abde", "output_shape": (3, 2, 5), "activation": "softmax"}, (3, 4)),
        ("frozen", {"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "c", "trainable": False}),
        (
            "regularized",
            {
                "equation": "abc,cde->abde",
                "output_shape": (3, 2, 5),
                "bias_axes": "de",
                "kernel_regularizer": config("L1L2", l1=0.02, l2=0.05),
                "bias_regularizer": config("L2", l2=0.2),
                "activity_regularizer": config("L2", l2=0.1),
                "kernel_constraint": config("MaxNorm", max_value=0.9, axis=1),
                "bias_constraint": config("NonNeg"),
            },
            (3, 4),
        ),
        ("max_norm", {"equation": "ab,cb->ac", "output_shape": 3, "kernel_constraint": config("UnitNorm", axis=1)}),
    ),
]
