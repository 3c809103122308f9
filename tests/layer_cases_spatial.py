"""The cases of the pooling layers, and of those that pad, crop, stretch or drop along the spatial axes."""

from case import rows

FIRST = {"data_format": "channels_first"}

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

ADAPTIVE = [
    case
    for kind in ("AdaptiveMaxPooling", "AdaptiveAveragePooling")
    for case in [
        *rows(
            f"{kind}1D",
            ("plain", {"output_size": 2}, (6, 3)),
            ("unequal", {"output_size": 3}, (8, 2)),
            ("longer", {"output_size": 5}, (3, 2)),
            ("channels_first", {"output_size": 2, **FIRST}, (2, 5)),
        ),
        *rows(
            f"{kind}2D",
            ("plain", {"output_size": 2}, (4, 6, 2)),
            ("unequal", {"output_size": (3, 2)}, (5, 7, 2)),
            ("channels_first", {"output_size": (4, 3), **FIRST}, (2, 6, 8)),
        ),
        *rows(
            f"{kind}3D",
            ("plain", {"output_size": (2, 1, 3)}, (3, 4, 3, 2)),
            ("channels_first", {"output_size": 2, **FIRST}, (2, 5, 2, 3)),
        ),
    ]
]

# Not of a maximum: TensorFlow's gradient is NaN there, that of a window (which no output needs) wider than the input.
ADAPTIVE += rows("AdaptiveAveragePooling2D", ("one", {"output_size": 1}, (4, 3, 2)))

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
        ("bicubic", {"size": (3, 7), "interpolation": "bicubic"}, (4, 3, 2)),
        ("bicubic_first", {"interpolation": "bicubic", **FIRST}, (2, 1, 5)),
        ("bicubic_open", {"size": (3, 2), "interpolation": "bicubic"}, (None, 5, 2)),
        ("lanczos3", {"size": (2, 3), "interpolation": "lanczos3"}, (7, 4, 2)),
    ),
    *rows(
        "UpSampling2D",
        ("lanczos5_first", {"size": (3, 2), "interpolation": "lanczos5", **FIRST}, (2, 6, 12)),
        ("lanczos5_open", {"interpolation": "lanczos5"}, (None, None, 2)),
        looser=(3e-6, "its weights are products of sines of up to 16, of which each library has its own rounding"),
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

CASES = [*POOLINGS, *GLOBAL_POOLINGS, *ADAPTIVE, *SPACES]
