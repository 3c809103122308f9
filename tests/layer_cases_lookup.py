"""The cases of the layers that look numbers up, or encode them."""

from case import rows

WORDS = [7, 3, 12, 5]

CASES = [
    *rows(
        "IntegerLookup",
        ("plain", {"vocabulary": WORDS}, (4,)),
        ("scalar_rows", {"vocabulary": WORDS}, ()),
        ("open_axis", {"vocabulary": [4]}, (None,)),
        ("mask", {"vocabulary": WORDS, "mask_token": 0, "num_oov_indices": 3}, (2, 4)),
        ("oov", {"vocabulary": WORDS[:3], "num_oov_indices": 2}, (6,)),
        ("invert", {"vocabulary": WORDS, "invert": True, "mask_token": -3, "oov_token": 99}, (6,)),
        ("one_hot", {"vocabulary": WORDS, "output_mode": "one_hot"}, (4,)),
        ("one_hot_mask", {"vocabulary": WORDS, "output_mode": "one_hot", "mask_token": 2}, (3, 1)),
        ("multi_hot", {"vocabulary": WORDS, "output_mode": "multi_hot", "mask_token": 2}, (5,)),
        ("count", {"vocabulary": WORDS, "output_mode": "count", "num_oov_indices": 2}, (5,)),
        ("padded", {"vocabulary": WORDS, "output_mode": "count", "max_tokens": 9, "pad_to_max_tokens": True}, (5,)),
        ("tf_idf", {"vocabulary": WORDS, "output_mode": "tf_idf", "idf_weights": [0.5, 2.0, 1.5, 0.7]}, (5,)),
        dtype="int64",
    ),
    *rows("IntegerLookup", ("floats", {"vocabulary": [0, 1, -1]}, (4,))),
    *rows(
        "IntegerLookup",
        ("adapted", {"num_oov_indices": 2}, (4,)),
        ("adapted_tf_idf", {"output_mode": "tf_idf", "max_tokens": 4}, (4,)),
        dtype="int64",
        adapt=True,
    ),
    *rows(
        "CategoryEncoding",
        ("one_hot", {"num_tokens": 10, "output_mode": "one_hot"}, (4,)),
        ("one_hot_single", {"num_tokens": 10, "output_mode": "one_hot"}, (1,)),
        ("one_hot_rank3", {"num_tokens": 10, "output_mode": "one_hot"}, (2, 3)),
        ("one_hot_rank3_single", {"num_tokens": 10, "output_mode": "one_hot"}, (3, 1)),
        ("one_hot_beyond", {"num_tokens": 6, "output_mode": "one_hot"}, (4,)),
        ("multi_hot", {"num_tokens": 10}, (4,)),
        ("count", {"num_tokens": 10, "output_mode": "count"}, (4,)),
        dtype="int32",
    ),
    *rows("CategoryEncoding", ("long", {"num_tokens": 10}, (4,)), dtype="int64"),
    *rows(
        "Discretization",
        ("plain", {"bin_boundaries": [-1.0, 0.0, 0.5]}),
        ("rank3", {"bin_boundaries": [-1.0, 0.0, 0.5]}, (3, 4)),
        ("one_hot", {"bin_boundaries": [-1.0, 0.0, 0.5], "output_mode": "one_hot"}, (4,)),
        ("one_hot_single", {"bin_boundaries": [-1.0, 0.0, 0.5], "output_mode": "one_hot"}, (1,)),
        ("multi_hot", {"bin_boundaries": [-1.0, 0.0, 0.5], "output_mode": "multi_hot"}, (4,)),
        ("count", {"bin_boundaries": [-1.0, 0.0, 0.5], "output_mode": "count"}, (4,)),
        values="knots",
    ),
    *rows("Discretization", ("adapted", {"num_bins": 4}, (3,)), adapt=True),
]
