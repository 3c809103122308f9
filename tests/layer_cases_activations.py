"""The cases of activations, and of the layers that are one."""

from case import config, rows

# threshold is the only other name in keras.activations: it takes arguments, so no layer can call it by name
# fmt: off
ACTIVATIONS = [
    "linear", "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "swish", "mish", "glu", "sigmoid",
    "tanh", "exponential", "softplus", "softsign", "softmax", "log_softmax", "log_sigmoid", "tanh_shrink",
    "hard_tanh", "hard_sigmoid", "hard_silu", "hard_swish", "hard_shrink", "soft_shrink", "sparse_plus",
    "sparse_sigmoid", "squareplus", "sparsemax",
]
# fmt: on

CASES = [
    *rows("Activation", *[(name, {"activation": name}) for name in ACTIVATIONS], values="knots"),
    *rows("Activation", *[(f"{n}_rank3", {"activation": n}, (3, 4)) for n in ("softmax", "sparsemax", "glu")]),
    *rows(
        "ReLU",
        ("plain", {}),
        ("max_value", {"max_value": 1.5}),
        ("six", {"max_value": 6}),
        ("zero_max", {"max_value": 0.0}),
        ("slope", {"negative_slope": 0.3}),
        ("threshold", {"threshold": 0.5}),
        ("slope_max", {"negative_slope": 0.2, "max_value": 1.0}),
        ("threshold_max", {"threshold": 0.5, "max_value": 1.5}),
        ("all", {"negative_slope": 0.25, "max_value": 3.0, "threshold": 0.5}),
        ("threshold_over_max", {"threshold": 2.0, "max_value": 1.0}),
        ("slope_threshold", {"negative_slope": 0.25, "threshold": 1.0}),
        values="knots",
    ),
    *rows("LeakyReLU", ("plain", {}), ("slope", {"negative_slope": 0.07}), ("zero", {"negative_slope": 0.0})),
    *rows("LeakyReLU", ("steep", {"negative_slope": 1.5}, (2, 3)), values="knots"),
    *rows(
        "PReLU",
        ("plain", {}),
        ("rank3", {}, (3, 4)),
        ("shared_steps", {"shared_axes": [1]}, (3, 4)),
        ("shared_features", {"shared_axes": [2]}, (3, 4)),
        ("shared_open_axis", {"shared_axes": [1]}, (None, 4)),
        ("shared_space", {"shared_axes": [1, 2]}, (2, 3, 4)),
        ("shared_only", {"shared_axes": [1]}),
        ("regularized", {"alpha_regularizer": config("L2", l2=0.3), "alpha_constraint": config("NonNeg")}),
        (
            "max_norm",
            {"alpha_constraint": config("MaxNorm", max_value=0.4, axis=1), "alpha_regularizer": config("L1", l1=0.3)},
            (3, 4),
        ),
    ),
    *rows("ELU", ("plain", {}), ("alpha", {"alpha": 0.4}), ("rank3", {"alpha": 1.7}, (2, 3)), values="knots"),
    *rows(
        "Softmax",
        ("plain", {}),
        ("rank3", {}, (3, 4)),
        ("axis1", {"axis": 1}, (3, 4)),
        ("axis_minus2", {"axis": -2}, (3, 4)),
        ("one_in_list", {"axis": [1]}, (3, 4)),
        ("two_axes", {"axis": [1, 2]}, (3, 4)),
        ("two_far_axes", {"axis": [-1, 1]}, (2, 3, 4)),
        ("open_axis", {"axis": 1}, (None, 4)),
        values="knots",
    ),
]
