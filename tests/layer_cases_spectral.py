"""The cases of SpectralNormalization."""

from case import config, rows


def dense(**options):
    return {"module": "keras.layers", "class_name": "Dense", "config": {"name": "inner", "units": 3, **options}}


def inner(kind, **options):
    return {"module": "keras.layers", "class_name": kind, "config": {"name": "inner", **options}}


CASES = [
    *rows(
        "SpectralNormalization",
        ("dense", {"layer": dense()}, (4,)),
        ("rank3", {"layer": dense(), "power_iterations": 3}, (2, 4)),
        ("no_bias_relu", {"layer": dense(use_bias=False, activation="relu")}, (4,)),
        (
            "regularized",
            {
                "layer": dense(
                    activation="tanh",
                    kernel_regularizer=config("L2", l2=0.3),
                    kernel_constraint=config("MaxNorm", max_value=0.4, axis=0),
                    activity_regularizer=config("L1", l1=0.1),
                )
            },
            (4,),
        ),
        ("frozen", {"layer": dense(), "trainable": False}, (4,)),
        ("conv2d", {"layer": inner("Conv2D", filters=3, kernel_size=2, padding="same", strides=2)}, (5, 4, 2)),
        ("conv1d", {"layer": inner("Conv1D", filters=3, kernel_size=2, padding="causal")}, (5, 2)),
        ("transposed", {"layer": inner("Conv2DTranspose", filters=3, kernel_size=3, strides=2)}, (3, 2, 2)),
        (
            "depthwise",
            {"layer": inner("DepthwiseConv2D", kernel_size=2, depth_multiplier=2), "power_iterations": 2},
            (3, 4, 2),
        ),
        ("einsum", {"layer": inner("EinsumDense", equation="abc,cde->abde", output_shape=(2, 2, 3))}, (2, 4)),
    ),
    *rows(
        "SpectralNormalization",
        ("embedding", {"layer": inner("Embedding", input_dim=256, output_dim=3)}, (4,)),
        values="pixels",
    ),
]
