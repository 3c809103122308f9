"""The cases of the layers that resize images, and of those that change them in training."""

from dataclasses import replace

from case import Case, rows

from bridge.graph.layer import LACKED

FIRST = {"data_format": "channels_first"}
SEED = {"seed": 3}

RESIZINGS = [
    *rows(
        "Resizing",
        ("plain", {"height": 3, "width": 5}, (7, 4, 2)),
        ("larger_first", {"height": 6, "width": 5, **FIRST}, (2, 4, 2)),
        ("half_first", {"height": 2, "width": 6, **FIRST}, (2, 4, 3)),
        ("rounded_places", {"height": 36, "width": 55}, (59, 60, 1)),
        ("open_axes", {"height": 4, "width": 2}, (None, None, 2)),
        ("open_first", {"height": 2, "width": 5, **FIRST}, (2, None, 6)),
        ("antialias", {"height": 3, "width": 5, "antialias": True}, (8, 4, 2)),
        ("antialias_open", {"height": 2, "width": 5, "antialias": True}, (None, 9, 2)),
        ("nearest", {"height": 3, "width": 7, "interpolation": "nearest"}, (14, 4, 2)),
        ("nearest_first", {"height": 5, "width": 3, "interpolation": "nearest", **FIRST}, (2, 3, 7)),
        ("nearest_open", {"height": 2, "width": 5, "interpolation": "nearest"}, (None, None, 2)),
        ("bicubic", {"height": 3, "width": 7, "interpolation": "bicubic"}, (5, 4, 2)),
        ("bicubic_antialias", {"height": 3, "width": 7, "interpolation": "bicubic", "antialias": True}, (11, 5, 2)),
        ("bicubic_open", {"height": 4, "width": 5, "interpolation": "bicubic"}, (None, 7, 2)),
        ("lanczos3", {"height": 3, "width": 7, "interpolation": "lanczos3"}, (9, 5, 2)),
        ("lanczos3_antialias", {"height": 3, "width": 4, "interpolation": "lanczos3", "antialias": True}, (12, 9, 2)),
        ("crop", {"height": 3, "width": 4, "crop_to_aspect_ratio": True}, (9, 5, 2)),
        ("crop_wide_first", {"height": 3, "width": 2, "crop_to_aspect_ratio": True, **FIRST}, (2, 4, 9)),
        (
            "crop_bicubic",
            {"height": 2, "width": 5, "crop_to_aspect_ratio": True, "interpolation": "bicubic"},
            (6, 7, 2),
        ),
        ("pad", {"height": 3, "width": 4, "pad_to_aspect_ratio": True}, (9, 5, 2)),
        ("pad_wide", {"height": 4, "width": 3, "pad_to_aspect_ratio": True, "fill_value": 1.5}, (4, 9, 2)),
        (
            "pad_nearest_first",
            {"height": 4, "width": 4, "pad_to_aspect_ratio": True, "interpolation": "nearest", **FIRST},
            (2, 6, 3),
        ),
        ("same_size", {"height": 4, "width": 3}, (4, 3, 2)),
        ("crop_open", {"height": 2, "width": 5, "crop_to_aspect_ratio": True}, (None, 4, 2)),
        (
            "crop_open_bicubic_first",
            {"height": 5, "width": 2, "crop_to_aspect_ratio": True, "interpolation": "bicubic", **FIRST},
            (2, 8, None),
        ),
        ("pad_open", {"height": 4, "width": 3, "pad_to_aspect_ratio": True, "fill_value": 1.5}, (None, None, 2)),
        (
            "pad_open_nearest_first",
            {"height": 4, "width": 4, "pad_to_aspect_ratio": True, "interpolation": "nearest", **FIRST},
            (2, 8, None),
        ),
    ),
    *rows(
        "Resizing",
        ("lanczos5_first", {"height": 6, "width": 7, "interpolation": "lanczos5", **FIRST}, (2, 4, 13)),
        ("lanczos5_open", {"height": 4, "width": 3, "interpolation": "lanczos5", "antialias": True}, (None, None, 2)),
        looser=(3e-6, "its weights are products of sines of up to 16, of which each library has its own rounding"),
    ),
    *rows("Resizing", ("bytes", {"height": 3, "width": 5}, (7, 4, 2)), dtype="uint8", values="bytes"),
    *rows(
        "Resizing",
        ("bytes_nearest", {"height": 3, "width": 5, "interpolation": "nearest"}, (7, 4, 2)),
        dtype="uint8",
        values="bytes",
    ),
    *rows(
        "CenterCrop",
        ("plain", {"height": 3, "width": 2}, (6, 5, 2)),
        ("odd_first", {"height": 2, "width": 3, **FIRST}, (2, 5, 4)),
        ("same", {"height": 4, "width": 3}, (4, 3, 2)),
        ("smaller", {"height": 6, "width": 5}, (4, 3, 2)),
        ("lower", {"height": 6, "width": 3}, (4, 8, 2)),
        ("narrower_first", {"height": 3, "width": 6, **FIRST}, (2, 7, 4)),
        ("open", {"height": 2, "width": 2}, (None, 7, 2)),
        ("open_smaller_first", {"height": 5, "width": 4, **FIRST}, (2, None, 9)),
    ),
    *rows("CenterCrop", ("bytes", {"height": 3, "width": 2}, (6, 5, 2)), dtype="uint8", values="bytes"),
    *rows(
        "AutoContrast",
        ("plain", {}, (4, 3, 2)),
        ("range", {"value_range": (-1, 1)}, (4, 3, 2)),
        ("first", {"value_range": (0, 1), **FIRST}, (2, 4, 3)),
    ),
    *rows("AutoContrast", ("flat", {"value_range": (1, 2)}, (3, 2, 2)), values="tiny"),
    *rows(
        "ContrastLimitedAdaptiveHistogramEqualization",
        ("tiles", {"tile_grid_size": (2, 3)}, (8, 12, 3)),
        ("default", {}, (16, 4, 1)),
        ("mirrored", {"tile_grid_size": (3, 4)}, (10, 13, 1)),
        ("no_limit_first", {"clip_limit": 0, "tile_grid_size": (2, 2), **FIRST}, (3, 7, 8)),
        ("one_tile_first", {"clip_limit": 40.5, "tile_grid_size": (1, 1), **FIRST}, (1, 6, 5)),
        ("open_axes", {"tile_grid_size": (2, 1)}, (None, None, 2)),
        values="pixels",
    ),
    *rows(
        "ContrastLimitedAdaptiveHistogramEqualization",
        ("range", {"value_range": (-1, 1), "tile_grid_size": (2, 2)}, (6, 9, 3)),
        ("turned_range", {"value_range": (2, -1.5), "tile_grid_size": (3, 2), "clip_limit": 60}, (7, 5, 2)),
    ),
    *rows(
        "ContrastLimitedAdaptiveHistogramEqualization",
        ("bytes", {"tile_grid_size": (2, 2), "clip_limit": 300}, (6, 6, 1)),
        dtype="uint8",
        values="bytes",
    ),
]

MOVES = ("RandomTranslation", "RandomRotation", "RandomZoom")
_AMOUNTS = {
    "RandomTranslation": {"height_factor": 0.3, "width_factor": (-0.1, 0.4)},
    "RandomRotation": {"factor": (-0.1, 0.3)},
    "RandomZoom": {"height_factor": (-0.3, 0.4)},
}
# What training does here is sure, and compared number by number.
SURE = [
    *rows(
        "RandomBrightness",
        ("sure", {"factor": (0.25, 0.25), "value_range": (-1, 1)}, (3, 4, 2)),
        ("sure_default", {"factor": (0.01, 0.01)}, (3, 4, 2)),
    ),
    *rows(
        "RandomContrast",
        ("sure", {"factor": (-0.5, 0.5), "value_range": (-2, 2)}, (3, 4, 2)),
        ("sure_first", {"factor": (-0.5, 0.5), **FIRST}, (3, 4, 2)),
    ),
]
MOVED = [
    *rows(
        "RandomCrop",
        ("smaller", {"height": 3, "width": 5}, (6, 4, 2)),
        ("resized", {"height": 4, "width": 4}, (3, 2, 2)),
    ),
    *rows("RandomCrop", ("equal_first", {"height": 3, "width": 4, **FIRST}, (2, 3, 7))),
    *[
        case
        for fill in ("reflect", "wrap", "constant", "nearest")
        for case in [
            *rows(
                "RandomTranslation",
                (
                    f"sure_{fill}",
                    {"height_factor": (0.35, 0.35), "width_factor": (-0.8, -0.8), "fill_mode": fill, "fill_value": 0.5},
                    (5, 6, 2),
                ),
            ),
            *rows(
                "RandomRotation",
                (f"sure_{fill}", {"factor": (0.2, 0.2), "fill_mode": fill, "fill_value": 0.5}, (5, 6, 2)),
            ),
            *rows(
                "RandomZoom",
                (
                    f"sure_{fill}",
                    {"height_factor": (0.73, 0.73), "width_factor": (-0.4, -0.4), "fill_mode": fill, "fill_value": 0.5},
                    (5, 6, 2),
                ),
            ),
        ]
    ],
    *rows(
        "RandomTranslation",
        (
            "sure_nearest_first",
            {"height_factor": (0.31, 0.31), "width_factor": (0.9, 0.9), "interpolation": "nearest", **FIRST},
            (2, 4, 5),
        ),
    ),
    *rows(
        "RandomRotation",
        ("sure_nearest_first", {"factor": (-0.13, -0.13), "interpolation": "nearest", **FIRST}, (2, 4, 5)),
    ),
    *rows(
        "RandomZoom",
        ("sure_nearest_first", {"height_factor": (0.9, 0.9), "interpolation": "nearest", **FIRST}, (2, 4, 5)),
    ),
]

DRAWN = [
    *rows("RandomFlip", *[(mode, {"mode": mode, **SEED}, (3, 4, 2)) for mode in ("horizontal", "vertical")]),
    *rows("RandomFlip", ("both", SEED, (3, 4, 2)), ("both_first", {**SEED, **FIRST}, (2, 3, 4))),
    *rows("RandomCrop", ("plain", {"height": 2, "width": 3, **SEED}, (4, 5, 2))),
    *rows("RandomCrop", ("plain_first", {"height": 3, "width": 1, **SEED, **FIRST}, (2, 4, 5))),
    *rows("RandomBrightness", ("drawn", {"factor": 0.4, "value_range": (0, 1), **SEED}, (3, 4, 2))),
    *rows("RandomContrast", ("drawn", {"factor": 0.7, "value_range": (0, 1), **SEED}, (3, 4, 2))),
    *[case for kind in MOVES for case in rows(kind, ("drawn", {**_AMOUNTS[kind], **SEED}, (4, 5, 2)))],
    *rows("RandomZoom", ("drawn_both", {"height_factor": 0.3, "width_factor": (0.1, 0.4), **SEED}, (4, 5, 2))),
    *rows("RandomFlip", ("bytes", SEED, (3, 4, 2)), dtype="uint8", values="bytes"),
]
_OPTIONS = {
    "Equalization": {"value_range": (0, 1)},
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomColorJitter": {"brightness_factor": 0.2, "hue_factor": 0.3},
    "RandomHeight": {"factor": 0.3},
    "RandomHue": {"factor": 0.5},
    "RandomPosterization": {"factor": 4},
    "RandomSaturation": {"factor": 0.5},
    "RandomSharpness": {"factor": 0.5},
    "RandomShear": {"x_factor": 0.3, "y_factor": 0.2},
    "RandomWidth": {"factor": 0.3},
}
PASSED = [
    Case(kind, "plain", _OPTIONS.get(kind, {}) | ({} if kind == "Equalization" else SEED), ((4, 4, 3),))
    for kind in LACKED
]

# One image in so many rows. TensorFlow's gradient of a moved image is the image moved back, so it isn't compared.
IN_TRAINING = [
    replace(case, random=True, image=many) for cases, many in ((MOVED, 3), (DRAWN, 3000), (PASSED, 8)) for case in cases
]

CASES = [*RESIZINGS, *SURE, *IN_TRAINING, *rows("MaxNumBoundingBoxes", ("plain", {"max_number": 3}, (4, 4, 3)))]
