"""Rows for the convolutional LSTM layers, and for layers that compute another thing with a mask."""

from case import config, rows

# what is dropped shows more without bounds
_LINEAR = {"return_sequences": True, "filters": 2, "kernel_size": 2, "activation": "linear"}
CASES = [
    *rows(
        "ConvLSTM1D",
        ("plain", {"filters": 3, "kernel_size": 3}, (4, 6, 2)),
        ("same_strides", {"filters": 2, "kernel_size": 4, "strides": 2, "padding": "same"}, (3, 5, 2)),
        ("dilation", {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "return_sequences": True}, (3, 6, 2)),
        ("backwards", {"filters": 2, "kernel_size": 2, "go_backwards": True, "return_sequences": True}, (4, 4, 1)),
        ("no_bias", {"filters": 2, "kernel_size": 2, "use_bias": False, "unit_forget_bias": False}, (3, 4, 2)),
        ("return_state", {"filters": 2, "kernel_size": 3, "return_state": True}, (3, 5, 2)),
        ("open_steps", {"filters": 2, "kernel_size": 3, "return_sequences": True}, (None, 5, 2)),
        (
            "activations",
            {"filters": 2, "kernel_size": 2, "activation": "gelu", "recurrent_activation": "hard_sigmoid"},
            (3, 4, 2),
        ),
        (
            "own_activations",
            {"filters": 2, "kernel_size": 2, "activation": "squareplus", "recurrent_activation": "sparse_sigmoid"},
            (2, 4, 2),
        ),
        ("one_step", {"filters": 2, "kernel_size": 1}, (1, 4, 2)),
        ("unrolled", {"filters": 2, "kernel_size": 2, "unroll": True, "padding": "same"}, (3, 4, 2)),
        ("frozen", {"filters": 2, "kernel_size": 2, "trainable": False}, (2, 4, 2)),
        (
            "penalties",
            {
                "filters": 2,
                "kernel_size": 2,
                "kernel_regularizer": config("L2", l2=0.03),
                "recurrent_regularizer": config("L1", l1=0.02),
                "bias_regularizer": config("L2", l2=0.1),
                "activity_regularizer": config("L2", l2=0.05),
                "kernel_constraint": config("MaxNorm", max_value=0.5, axis=[0, 1]),
                "bias_constraint": config("NonNeg"),
            },
            (2, 4, 2),
        ),
    ),
    *rows(
        "ConvLSTM1D",
        ("state", {"filters": 2, "kernel_size": 3, "return_state": True}, (3, 6, 2), (4, 2), (4, 2)),
        named=("sequences", "state0", "state1"),
    ),
    *rows(
        "ConvLSTM1D",
        ("mask", {"filters": 2, "kernel_size": 3, "return_sequences": True, "return_state": True}, (4, 5, 2), (4,)),
        ("mask_last", {"filters": 2, "kernel_size": 3}, (4, 5, 2), (4,)),
        (
            "mask_backwards",
            {"filters": 2, "kernel_size": 3, "go_backwards": True, "return_sequences": True},
            (4, 5, 2),
            (4,),
        ),
        (
            "mask_zero_output",
            {"filters": 2, "kernel_size": 2, "zero_output_for_mask": True, "return_sequences": True},
            (4, 5, 2),
            (4,),
        ),
        (
            "mask_places",  # as Masking makes it of images
            {"filters": 2, "kernel_size": 3, "padding": "same", "return_sequences": True, "return_state": True},
            (4, 5, 2),
            (4, 5),
        ),
        ("mask_of_ones_unrolled", {"filters": 2, "kernel_size": 3, "unroll": True}, (3, 5, 2), (3, 1)),
        named=("sequences", "mask"),
    ),
    *rows(
        "ConvLSTM3D",
        (
            "mask_first",
            {"filters": 3, "kernel_size": 1, "data_format": "channels_first", "return_sequences": True},
            (2, 2, 2, 3, 4),
            (2, 3, 1, 3),
        ),
        named=("sequences", "mask"),
    ),
    *rows(
        "ConvLSTM1D",
        (
            "mask_state",
            {
                "filters": 2,
                "kernel_size": 3,
                "padding": "same",
                "return_sequences": True,
            },
            (4, 5, 2),
            (4,),
            (5, 2),
            (5, 2),
        ),
        named=("sequences", "mask", "state0", "state1"),
    ),
    *rows(
        "ConvLSTM2D",
        ("plain", {"filters": 3, "kernel_size": 2}, (3, 4, 5, 2)),
        ("same", {"filters": 2, "kernel_size": (3, 2), "padding": "same", "return_sequences": True}, (3, 4, 3, 2)),
        ("strides", {"filters": 2, "kernel_size": 3, "strides": (2, 1), "return_state": True}, (2, 5, 4, 2)),
    ),
    *rows(
        "ConvLSTM3D",
        ("plain", {"filters": 2, "kernel_size": 2}, (2, 3, 3, 4, 2)),
        (
            "same",
            {"filters": 2, "kernel_size": (1, 2, 3), "padding": "same", "return_sequences": True},
            (2, 2, 3, 3, 1),
        ),
        (
            "channels_first",  # the only one that TensorFlow has this for on a CPU
            {"filters": 3, "kernel_size": 2, "data_format": "channels_first", "return_state": True},
            (2, 2, 3, 3, 4),
        ),
    ),
    *rows(
        "ConvLSTM1D",
        ("dropout", {**_LINEAR, "dropout": 0.4}, (3, 3, 2)),
        ("recurrent_dropout", {**_LINEAR, "recurrent_dropout": 0.4, "padding": "same"}, (3, 3, 2)),
        random=True,
    ),
    *rows(
        "Softmax",
        ("mask", {}, (3, 4), (3, 4)),
        ("mask_broadcast", {"axis": 1}, (3, 4), (1, 4)),
        ("mask_axes", {"axis": [-2, -1]}, (2, 3, 4), (1, 3, 4)),
        named=("inputs", "mask"),
    ),
    *rows(
        "BatchNormalization",
        ("mask", {}, (6, 3), (6,)),
        ("mask_axis1", {"axis": 1, "momentum": 0.9, "scale": False}, (3, 4), (3,)),
        ("mask_rank4", {"epsilon": 0.1, "center": False}, (2, 3, 4), (2, 3)),
        ("mask_frozen", {"trainable": False}, (6, 3), (6,)),
        named=("inputs", "mask"),
    ),
    *rows(
        "GlobalAveragePooling1D",
        ("mask", {}, (8, 3), (8,)),
        ("mask_keepdims", {"keepdims": True}, (None, 3), (None,)),
        ("mask_channels_first", {"data_format": "channels_first"}, (3, 8), (8,)),
        named=("inputs", "mask"),
    ),
]
