"""The cases of the layers that change shapes alone."""

from case import rows

CASES = [
    *rows(
        "Flatten",
        ("rank2", {}),
        ("scalar_rows", {}, ()),
        ("rank3", {}, (3, 4)),
        ("rank4", {}, (2, 3, 4)),
        ("channels_first", {"data_format": "channels_first"}, (2, 3, 4)),
        ("channels_first_rank3", {"data_format": "channels_first"}, (3, 4)),
        ("channels_first_rank2", {"data_format": "channels_first"}, (4,)),
        ("open_axis", {}, (None, 4)),
    ),
    *rows(
        "Reshape",
        ("fold", {"target_shape": [2, 3]}),
        ("free_last", {"target_shape": [2, -1]}),
        ("free_first", {"target_shape": [-1, 3]}),
        ("flat", {"target_shape": [12]}, (3, 4)),
        ("free_flat", {"target_shape": [-1]}, (3, 4)),
        ("free_same", {"target_shape": [-1]}),
        ("rank4", {"target_shape": [2, 2, 3]}, (3, 4)),
        ("from_scalar_rows", {"target_shape": [1]}, ()),
        ("to_scalar_rows", {"target_shape": []}, (1,)),
        ("open_axis", {"target_shape": [-1, 2]}, (None, 4)),
    ),
    *rows(
        "Permute", ("two", {"dims": [2, 1]}, (3, 4)), ("three", {"dims": [3, 1, 2]}, (2, 3, 4)), ("same", {"dims": [1]})
    ),
    *rows("RepeatVector", ("three", {"n": 3}), ("once", {"n": 1})),
]
