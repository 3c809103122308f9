"""The cases of the embeddings."""

from case import config, rows

CASES = [
    *rows(
        "Embedding",
        ("plain", {"input_dim": 10, "output_dim": 3}, (4,)),
        ("scalar_rows", {"input_dim": 10, "output_dim": 3}, ()),
        ("rank3", {"input_dim": 10, "output_dim": 3}, (2, 4)),
        ("open_axis", {"input_dim": 10, "output_dim": 3}, (None,)),
        ("mask_zero", {"input_dim": 10, "output_dim": 3, "mask_zero": True}, (4,)),
        ("frozen", {"input_dim": 10, "output_dim": 3, "trainable": False}, (4,)),
        (
            "regularized",
            {
                "input_dim": 10,
                "output_dim": 3,
                "embeddings_regularizer": config("L2", l2=0.3),
                "embeddings_constraint": config("MaxNorm", max_value=0.4, axis=1),
            },
            (4,),
        ),
        dtype="int32",
    ),
    *rows("Embedding", ("long", {"input_dim": 10, "output_dim": 3}, (4,)), dtype="int64"),
    *rows("Embedding", ("bytes", {"input_dim": 256, "output_dim": 3}, (4,)), dtype="uint8"),
    *rows(
        "ReversibleEmbedding",
        ("plain", {"input_dim": 10, "output_dim": 3}, (4,)),
        ("mask_zero", {"input_dim": 10, "output_dim": 3, "mask_zero": True}, (4,)),
        ("untied", {"input_dim": 10, "output_dim": 3, "tie_weights": False}, (4,)),
        dtype="int32",
    ),
    *rows("ReversibleEmbedding", ("bytes", {"input_dim": 256, "output_dim": 3}, (4,)), dtype="uint8"),
    *rows(
        "ReversibleEmbedding",
        ("back", {"input_dim": 7, "output_dim": 3}, (4, 3)),
        ("back_untied", {"input_dim": 7, "output_dim": 3, "tie_weights": False}, (3,)),
        ("back_capped", {"input_dim": 7, "output_dim": 3, "logit_soft_cap": 2.5}, (4, 3)),
        ("back_float32", {"input_dim": 7, "output_dim": 3, "reverse_dtype": "float32"}, (4, 3)),
        (
            "back_regularized",
            {
                "input_dim": 7,
                "output_dim": 3,
                "embeddings_regularizer": config("L2", l2=0.3),
                "embeddings_constraint": config("MaxNorm", max_value=0.4, axis=1),
            },
            (4, 3),
        ),
        call={"reverse": True},
    ),
]
