"""The cases of the layers on images and sequences: convolution, pooling, and what changes the space."""

from case import config, rows

FIRST = {"data_format": "channels_first"}

CONVOLUTIONS = [
    *rows(
        "Conv1D",
        ("plain", {"filters": 4, "kernel_size": 3}, (7, 3)),
        ("no_bias", {"filters": 4, "kernel_size": 2, "use_bias": False}, (5, 3)),
        ("same", {"filters": 2, "kernel_size": 3, "padding": "same"}, (5, 2)),
        ("same_even", {"filters": 2, "kernel_size": 4, "padding": "same"}, (6, 2)),
        ("same_strides", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (6, 2)),
        ("same_strides_odd", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (7, 2)),
        ("same_wide_strides", {"filters": 2, "kernel_size": 2, "padding": "same", "strides": 3}, (5, 2)),
        ("same_dilated", {"filters": 2, "kernel_size": 2, "padding": "same", "dilation_rate": 3}, (6, 2)),
        ("causal", {"filters": 2, "kernel_size": 3, "padding": "causal"}, (5, 2)),
        ("causal_dilated", {"filters": 2, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}, (6, 2)),
        ("causal_strides", {"filters": 2, "kernel_size": 3, "padding": "causal", "strides": 2}, (6, 2)),
        ("strides", {"filters": 2, "kernel_size": 2, "strides": 3}, (9, 2)),
        ("dilated", {"filters": 2, "kernel_size": 3, "dilation_rate": 2}, (8, 2)),
        ("groups", {"filters": 6, "kernel_size": 2, "groups": 2}, (5, 4)),
        ("channels_first", {"filters": 4, "kernel_size": 3, "padding": "same", **FIRST}, (2, 5)),
        ("channels_first_causal", {"filters": 4, "kernel_size": 3, "padding": "causal", **FIRST}, (2, 5)),
        ("open_axis", {"filters": 2, "kernel_size": 2, "activation": "relu"}, (None, 2)),
        ("open_axis_same", {"filters": 2, "kernel_size": 2, "padding": "same"}, (None, 2)),
        ("open_axis_same_strides", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (None, 2)),
        ("activation", {"filters": 3, "kernel_size": 2, "activation": "softmax"}, (5, 2)),
    ),
    *rows(
        "Conv2D",
        ("plain", {"filters": 4, "kernel_size": 3}, (5, 6, 3)),
        ("no_bias", {"filters": 4, "kernel_size": (2, 3), "use_bias": False}, (5, 4, 3)),
        ("pointwise", {"filters": 5, "kernel_size": 1, "activation": "gelu"}, (3, 2, 4)),
        ("one_pixel", {"filters": 2, "kernel_size": 3, "padding": "same"}, (1, 1, 2)),
        ("same", {"filters": 2, "kernel_size": 3, "padding": "same"}, (5, 4, 2)),
        ("same_even", {"filters": 2, "kernel_size": (2, 4), "padding": "same"}, (5, 6, 2)),
        ("same_strides", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (6, 7, 2)),
        ("same_mixed_strides", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": (1, 2)}, (5, 6, 2)),
        ("same_wide_strides", {"filters": 2, "kernel_size": 1, "padding": "same", "strides": 2}, (5, 4, 2)),
        ("same_dilated", {"filters": 2, "kernel_size": 3, "padding": "same", "dilation_rate": (2, 1)}, (6, 5, 2)),
        ("strides", {"filters": 2, "kernel_size": (3, 2), "strides": (2, 1)}, (6, 5, 2)),
        ("dilated", {"filters": 2, "kernel_size": 2, "dilation_rate": 2}, (5, 5, 2)),
        ("groups", {"filters": 6, "kernel_size": 3, "groups": 3, "padding": "same"}, (4, 4, 3)),
        ("groups_strides", {"filters": 4, "kernel_size": 2, "groups": 2, "strides": 2}, (4, 4, 4)),
        ("channels_first", {"filters": 4, "kernel_size": 3, **FIRST}, (2, 5, 4)),
        ("channels_first_same", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2, **FIRST}, (2, 6, 5)),
        ("open_axes", {"filters": 2, "kernel_size": 2}, (None, None, 2)),
        ("open_axes_same", {"filters": 2, "kernel_size": 3, "padding": "same"}, (None, None, 2)),
        ("open_axes_strides", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (None, None, 2)),
        ("open_height_strides", {"filters": 2, "kernel_size": 2, "padding": "same", "strides": 2}, (None, 4, 2)),
        ("open_first", {"filters": 3, "kernel_size": 3, "padding": "same", "strides": 2, **FIRST}, (2, None, None)),
        ("frozen", {"filters": 2, "kernel_size": 2, "trainable": False}, (4, 4, 2)),
        ("activity", {"filters": 2, "kernel_size": 2, "activity_regularizer": config("L2", l2=0.1)}, (3, 3, 2)),
        (
            "regularized",
            {
                "filters": 3,
                "kernel_size": 2,
                "kernel_regularizer": config("L1L2", l1=0.1, l2=0.2),
                "bias_regularizer": config("L2", l2=0.2),
                "kernel_constraint": config("MaxNorm", max_value=0.9, axis=[0, 1, 2]),
                "bias_constraint": config("NonNeg"),
            },
            (3, 3, 2),
        ),
        ("unit_norm", {"filters": 3, "kernel_size": 2, "kernel_constraint": config("UnitNorm", axis=[3])}, (3, 3, 2)),
    ),
    *rows(
        "Conv3D",
        ("plain", {"filters": 3, "kernel_size": 2}, (3, 4, 3, 2)),
        ("no_bias", {"filters": 3, "kernel_size": (1, 2, 3), "use_bias": False}, (3, 3, 4, 2)),
        ("same_strides", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (4, 3, 4, 2)),
        ("same_dilated", {"filters": 2, "kernel_size": 2, "padding": "same", "dilation_rate": 2}, (4, 3, 4, 2)),
        ("groups", {"filters": 4, "kernel_size": 2, "groups": 2, "activation": "tanh"}, (3, 3, 3, 4)),
        ("channels_first", {"filters": 2, "kernel_size": 2, "padding": "same", **FIRST}, (2, 3, 4, 3)),
        ("open_axes", {"filters": 2, "kernel_size": 2, "padding": "same", "strides": 2}, (None, None, None, 2)),
    ),
    *rows(
        "DepthwiseConv1D",
        ("plain", {"kernel_size": 3}, (6, 3)),
        ("multiplier", {"kernel_size": 2, "depth_multiplier": 2, "activation": "relu"}, (5, 3)),
        ("same_strides", {"kernel_size": 3, "padding": "same", "strides": 2}, (6, 2)),
        ("dilated", {"kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (6, 2)),
        ("dilated_strides", {"kernel_size": 2, "dilation_rate": 2, "strides": 2, "padding": "same"}, (7, 2)),
        ("channels_first", {"kernel_size": 3, "depth_multiplier": 2, "padding": "same", **FIRST}, (2, 5)),
        ("open_axis", {"kernel_size": 3, "padding": "same", "strides": 2}, (None, 2)),
    ),
    *rows(
        "DepthwiseConv2D",
        ("plain", {"kernel_size": 3}, (5, 4, 3)),
        ("multiplier", {"kernel_size": (2, 3), "depth_multiplier": 3, "activation": "relu"}, (4, 5, 2)),
        ("one_channel", {"kernel_size": 2, "depth_multiplier": 2}, (3, 3, 1)),
        ("same_strides", {"kernel_size": 3, "padding": "same", "strides": 2}, (6, 5, 2)),
        ("dilated", {"kernel_size": 2, "dilation_rate": (1, 2), "use_bias": False}, (4, 5, 2)),
        ("dilated_strides", {"kernel_size": 2, "dilation_rate": 2, "strides": 2, "padding": "same"}, (6, 7, 2)),
        ("mixed_strides", {"kernel_size": 2, "strides": (1, 2), "dilation_rate": (2, 1)}, (5, 5, 2)),
        ("channels_first", {"kernel_size": 3, "padding": "same", "strides": 2, **FIRST}, (2, 5, 6)),
        ("open_axes", {"kernel_size": 3, "padding": "same", "strides": 2}, (None, None, 2)),
        ("open_axes_dilated", {"kernel_size": 2, "padding": "same", "strides": 2, "dilation_rate": 2}, (None, None, 2)),
        (
            "regularized",
            {
                "kernel_size": 2,
                "depth_multiplier": 2,
                "depthwise_regularizer": config("L2", l2=0.2),
                "depthwise_constraint": config("MaxNorm", max_value=0.9, axis=[0, 1]),
            },
            (3, 3, 3),
        ),
        (
            "norm_of_multiplied",
            {
                "kernel_size": 2,
                "depth_multiplier": 2,
                "depthwise_constraint": config("MinMaxNorm", min_value=0.5, max_value=0.9, rate=0.7, axis=2),
            },
            (3, 3, 3),
        ),
    ),
    *rows(
        "SeparableConv1D",
        ("plain", {"filters": 4, "kernel_size": 3}, (6, 3)),
        ("multiplier", {"filters": 4, "kernel_size": 2, "depth_multiplier": 2, "activation": "relu"}, (5, 3)),
        ("same_strides", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}, (6, 2)),
        ("dilated", {"filters": 4, "kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (6, 2)),
        ("channels_first", {"filters": 3, "kernel_size": 3, "padding": "same", **FIRST}, (2, 5)),
        ("open_axis", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (None, 2)),
    ),
    *rows(
        "SeparableConv2D",
        ("plain", {"filters": 4, "kernel_size": 3}, (5, 4, 3)),
        ("multiplier", {"filters": 2, "kernel_size": (2, 3), "depth_multiplier": 3, "activation": "relu"}, (4, 5, 2)),
        ("same_strides", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}, (6, 5, 2)),
        ("dilated", {"filters": 4, "kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (4, 5, 2)),
        ("dilated_strides", {"filters": 4, "kernel_size": 2, "dilation_rate": 2, "strides": 2}, (6, 7, 2)),
        ("channels_first", {"filters": 3, "kernel_size": 3, "padding": "same", **FIRST}, (2, 5, 4)),
        ("open_axes", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, (None, None, 2)),
        (
            "regularized",
            {
                "filters": 3,
                "kernel_size": 2,
                "depthwise_regularizer": config("L2", l2=0.2),
                "pointwise_regularizer": config("L1", l1=0.2),
                "pointwise_constraint": config("UnitNorm", axis=[0, 1, 2]),
                "bias_constraint": config("NonNeg"),
            },
            (3, 3, 2),
        ),
    ),
]

TRANSPOSED = [
    *[
        case
        for rank, space in ((1, (4,)), (2, (3, 4)), (3, (2, 3, 2)))
        for case in rows(
            f"Conv{rank}DTranspose",
            ("plain", {"filters": 3, "kernel_size": 3}, (*space, 2)),
            ("strides", {"filters": 3, "kernel_size": 3, "strides": 2}, (*space, 2)),
            ("wide_strides", {"filters": 3, "kernel_size": 2, "strides": 3, "activation": "relu"}, (*space, 2)),
            ("padded", {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1}, (*space, 2)),
            ("padded_by_none", {"filters": 3, "kernel_size": 2, "strides": 3, "output_padding": 0}, (*space, 2)),
            ("same", {"filters": 3, "kernel_size": 3, "padding": "same"}, (*space, 2)),
            ("same_even", {"filters": 3, "kernel_size": 4, "padding": "same"}, (*space, 2)),
            ("same_strides", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}, (*space, 2)),
            ("same_even_strides", {"filters": 3, "kernel_size": 4, "strides": 2, "padding": "same"}, (*space, 2)),
            ("same_wide_strides", {"filters": 3, "kernel_size": 2, "strides": 3, "padding": "same"}, (*space, 2)),
            (
                "same_padded",
                {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
                (*space, 2),
            ),
            (
                "same_padded_by_none",
                {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0},
                (*space, 2),
            ),
            (
                "same_even_padded",
                {"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": 1},
                (*space, 2),
            ),
            ("dilated", {"filters": 3, "kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (*space, 2)),
            ("same_dilated", {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}, (*space, 2)),
            ("channels_first", {"filters": 3, "kernel_size": 3, "strides": 2, **FIRST}, (2, *space)),
            ("channels_first_same", {"filters": 5, "kernel_size": 3, "padding": "same", **FIRST}, (2, *space)),
            (
                "open_axes",
                {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"},
                (*[None] * rank, 2),
            ),
        )
    ],
    *rows(
        "Conv2DTranspose",
        ("mixed", {"filters": 3, "kernel_size": (2, 3), "strides": (1, 2), "padding": "same"}, (3, 2, 2)),
        (
            "regularized",
            {
                "filters": 3,
                "kernel_size": 2,
                "kernel_regularizer": config("L2", l2=0.2),
                "kernel_constraint": config("MaxNorm", max_value=0.9, axis=[0, 1, 3]),
            },
            (3, 3, 2),
        ),
    ),
]

POOLINGS = [
    case
    for kind in ("MaxPooling", "AveragePooling")
    for case in [
        *rows(
            f"{kind}1D",
            ("plain", {"pool_size": 2}, (6, 3)),
            ("strides", {"pool_size": 3, "strides": 2}, (8, 2)),
            ("same_strides", {"pool_size": 3, "strides": 2, "padding": "same"}, (6, 2)),
            ("same_wide_strides", {"pool_size": 2, "strides": 3, "padding": "same"}, (7, 2)),
            ("channels_first", {"pool_size": 2, "padding": "same", **FIRST}, (2, 5)),
            ("open_axis", {"pool_size": 2}, (None, 2)),
            ("open_axis_same", {"pool_size": 3, "strides": 2, "padding": "same"}, (None, 2)),
        ),
        *rows(
            f"{kind}2D",
            ("plain", {"pool_size": 2}, (5, 6, 3)),
            ("strides", {"pool_size": (2, 3), "strides": (1, 2)}, (4, 7, 2)),
            ("same", {"pool_size": 2, "padding": "same"}, (5, 4, 2)),
            ("same_strides", {"pool_size": 3, "strides": 2, "padding": "same"}, (6, 7, 2)),
            ("same_mixed", {"pool_size": (3, 2), "strides": (2, 1), "padding": "same"}, (6, 4, 2)),
            ("channels_first", {"pool_size": 3, "strides": 2, "padding": "same", **FIRST}, (2, 5, 6)),
            ("open_axes", {"pool_size": 3, "strides": 2}, (None, None, 2)),
            ("open_axes_same", {"pool_size": 3, "strides": 2, "padding": "same"}, (None, None, 2)),
            ("open_height_same", {"pool_size": 2, "padding": "same"}, (None, 4, 2)),
            ("open_first_same", {"pool_size": 2, "padding": "same", **FIRST}, (2, None, None)),
        ),
        *rows(
            f"{kind}3D",
            ("plain", {"pool_size": 2}, (4, 5, 4, 2)),
            ("same", {"pool_size": 3, "strides": 2, "padding": "same"}, (4, 3, 5, 2)),
            ("channels_first", {"pool_size": (1, 2, 3), "strides": 1, **FIRST}, (2, 3, 4, 3)),
            ("open_axes_same", {"pool_size": 2, "padding": "same"}, (None, None, None, 2)),
        ),
    ]
] + [
    case
    for kind, why in (
        ("MaxPooling", "it misreads the pads of a MaxPool whose strides are all 1"),
        ("AveragePooling", ""),
    )
    for case in [
        *rows(
            f"{kind}1D",
            ("same", {"pool_size": 3, "strides": 1, "padding": "same"}, (5, 2)),
            ("same_even", {"pool_size": 2, "strides": 1, "padding": "same"}, (5, 2)),
            no_reference=why,
        ),
        *rows(
            f"{kind}2D",
            ("same_even", {"pool_size": 2, "strides": 1, "padding": "same"}, (4, 3, 2)),
            ("open_axes_same_even", {"pool_size": 2, "strides": 1, "padding": "same"}, (None, None, 2)),
            no_reference=why,
        ),
        *rows(
            f"{kind}3D",
            ("same_even", {"pool_size": 2, "strides": 1, "padding": "same"}, (3, 2, 3, 2)),
            no_reference=why,
        ),
    ]
]

GLOBAL_POOLINGS = [
    case
    for kind in ("GlobalMaxPooling", "GlobalAveragePooling")
    for rank, space in ((1, (4,)), (2, (4, 3)), (3, (2, 3, 2)))
    for case in rows(
        f"{kind}{rank}D",
        ("plain", {}, (*space, 2)),
        ("keepdims", {"keepdims": True}, (*space, 2)),
        ("channels_first", FIRST, (2, *space)),
        ("channels_first_keepdims", {"keepdims": True, **FIRST}, (2, *space)),
        ("open_axes", {}, (*[None] * rank, 2)),
    )
]

SPACES = [
    *rows("ZeroPadding1D", ("plain", {}, (3, 2)), ("uneven", {"padding": (0, 2)}, (3, 2))),
    *rows("ZeroPadding1D", ("channels_first", {"padding": (1, 2), **FIRST}, (2, 3)), ("open_axis", {}, (None, 2))),
    *rows(
        "ZeroPadding2D",
        ("plain", {}, (3, 4, 2)),
        ("each_axis", {"padding": (0, 2)}, (3, 4, 2)),
        ("uneven", {"padding": ((1, 0), (2, 3))}, (3, 4, 2)),
        ("channels_first", {"padding": ((1, 0), (0, 2)), **FIRST}, (2, 3, 4)),
        ("open_axes", {}, (None, None, 2)),
    ),
    *rows(
        "ZeroPadding3D",
        ("plain", {}, (2, 3, 2, 2)),
        ("uneven", {"padding": ((1, 0), (2, 1), (0, 3))}, (2, 3, 2, 2)),
        ("channels_first", {"padding": (1, 0, 2), **FIRST}, (2, 2, 3, 2)),
    ),
    *rows("Cropping1D", ("plain", {}, (4, 2)), ("start", {"cropping": (2, 0)}, (4, 2)), ("open", {}, (None, 2))),
    *rows(
        "Cropping2D",
        ("plain", {"cropping": 1}, (3, 4, 2)),
        ("none", {}, (3, 4, 2)),
        ("each_axis", {"cropping": (0, 1)}, (3, 4, 2)),
        ("uneven", {"cropping": ((1, 0), (0, 3))}, (3, 4, 2)),
        ("channels_first", {"cropping": ((1, 0), (2, 1)), **FIRST}, (2, 3, 4)),
        ("open_axes", {"cropping": ((1, 0), (0, 1))}, (None, None, 2)),
    ),
    *rows(
        "Cropping3D",
        ("plain", {}, (3, 4, 3, 2)),
        ("uneven", {"cropping": ((1, 0), (0, 2), (1, 1))}, (3, 4, 3, 2)),
        ("channels_first", {"cropping": ((1, 0), (0, 2), (0, 0)), **FIRST}, (2, 3, 4, 3)),
    ),
    *rows("UpSampling1D", ("plain", {}, (3, 2)), ("three", {"size": 3}, (3, 2)), ("open_axis", {}, (None, 2))),
    *rows(
        "UpSampling2D",
        ("plain", {}, (3, 2, 2)),
        ("sizes", {"size": (1, 3)}, (3, 2, 2)),
        ("channels_first", {"size": (2, 3), **FIRST}, (2, 3, 2)),
        ("bilinear", {"interpolation": "bilinear"}, (3, 4, 2)),
        ("bilinear_sizes", {"size": (3, 2), "interpolation": "bilinear"}, (3, 1, 2)),
        ("bilinear_channels_first", {"size": (1, 4), "interpolation": "bilinear", **FIRST}, (2, 3, 2)),
        ("open_axes", {}, (None, None, 2)),
        ("open_axes_bilinear", {"interpolation": "bilinear"}, (None, None, 2)),
    ),
    *rows(
        "UpSampling3D",
        ("plain", {}, (2, 1, 3, 2)),
        ("sizes", {"size": (1, 2, 3)}, (2, 1, 3, 2)),
        ("channels_first", {"size": (2, 1, 2), **FIRST}, (2, 2, 1, 3)),
    ),
    *rows("SpatialDropout1D", ("plain", {"rate": 0.3}, (3, 4)), ("zero", {"rate": 0}, (3, 4)), random=True),
    *rows(
        "SpatialDropout2D",
        ("plain", {"rate": 0.4}, (2, 3, 4)),
        ("channels_first", {"rate": 0.4, **FIRST}, (4, 2, 3)),
        random=True,
    ),
    *rows(
        "SpatialDropout3D",
        ("plain", {"rate": 0.5}, (2, 1, 3, 4)),
        ("channels_first", {"rate": 0.5, **FIRST}, (4, 2, 1, 3)),
        random=True,
    ),
]

CASES = [*CONVOLUTIONS, *TRANSPOSED, *POOLINGS, *GLOBAL_POOLINGS, *SPACES]
