"""The table of layer cases: plain data, read by the Keras process that records them and by the tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """One layer with one choice of options.

    shapes: of its inputs, without the batch axis; None is an axis whose length the model leaves open.
    values: "normal"; "knots" (also the places where activations change their formula); "tiny" (rows around every
    epsilon, and zero); "steps" (rows that a Masking layer masks); "bytes".
    random: drops or adds noise in training, so that only its statistics can be compared there.
    looser: the tolerance for outputs and gradients where 1e-6 of the scale can't be had, with its reason.
    """

    kind: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int | None, ...], ...] = ((6,),)
    dtype: str = "float32"
    values: str = "normal"
    adapt: bool = False
    random: bool = False
    looser: tuple[float, str] | None = None

    @property
    def tolerance(self) -> float:
        return self.looser[0] if self.looser else 1e-6

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"


def rows(kind: str, *listed: tuple[Any, ...], **common: Any) -> list[Case]:
    """Cases of one kind: (name, options) or (name, options, shape, shape, ...)."""
    return [
        Case(kind, name, options, **{**common, **({"shapes": tuple(shapes)} if shapes else {})})
        for name, options, *shapes in listed
    ]


def config(name: str, **options: Any) -> dict[str, Any]:
    """A regularizer or constraint as Keras's configs have it."""
    return {"class_name": name, "config": options}


# threshold is the only other name in keras.activations: it takes arguments, so no layer can call it by name
# fmt: off
ACTIVATIONS = [
    "linear", "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "swish", "mish", "glu", "sigmoid",
    "tanh", "exponential", "softplus", "softsign", "softmax", "log_softmax", "log_sigmoid", "tanh_shrink",
    "hard_tanh", "hard_sigmoid", "hard_silu", "hard_swish", "hard_shrink", "soft_shrink", "sparse_plus",
    "sparse_sigmoid", "squareplus", "sparsemax",
]
# fmt: on
SHRINKING = ("soft_shrink", "tanh_shrink")

CASES = [
    *rows("Activation", *[(name, {"activation": name}) for name in ACTIVATIONS], values="knots"),
    *rows("Activation", *[(f"{n}_rank3", {"activation": n}, (3, 4)) for n in ("softmax", "sparsemax", "glu")]),
    *rows("Dense", *[(f"activation_{n}", {"units": 4, "activation": n}) for n in ACTIVATIONS if n not in SHRINKING]),
    *rows(
        "Dense",
        *[(f"activation_{n}", {"units": 4, "activation": n}) for n in SHRINKING],
        looser=(3e-6, "near its knots it subtracts almost equal numbers, so the matrix product's rounding weighs more"),
    ),
    *rows(
        "Dense",
        ("plain", {"units": 5}),
        ("no_bias", {"units": 5, "use_bias": False}),
        ("one_unit", {"units": 1}, (1,)),
        ("rank3", {"units": 5, "activation": "relu"}, (3, 4)),
        ("rank4", {"units": 2}, (2, 3, 4)),
        ("open_axis", {"units": 2, "activation": "tanh"}, (None, 4)),
        ("frozen", {"units": 3, "trainable": False}),
        ("l1", {"units": 5, "kernel_regularizer": config("L1", l1=0.03)}),
        ("l2", {"units": 5, "kernel_regularizer": config("L2", l2=0.03), "bias_regularizer": config("L2", l2=0.2)}),
        ("l1l2", {"units": 5, "kernel_regularizer": config("L1L2", l1=0.02, l2=0.05)}),
        ("l1l2_zero", {"units": 5, "kernel_regularizer": config("L1L2", l1=0.0, l2=0.0)}),
        ("frozen_l2", {"units": 5, "kernel_regularizer": config("L2", l2=0.03), "trainable": False}),
        ("orthogonal_rows", {"units": 5, "kernel_regularizer": config("OrthogonalRegularizer", factor=0.3)}),
        (
            "orthogonal_columns",
            {"units": 5, "kernel_regularizer": config("OrthogonalRegularizer", factor=0.3, mode="columns")},
        ),
        ("activity_l1", {"units": 5, "activity_regularizer": config("L1", l1=0.1), "activation": "tanh"}),
        ("activity_l2", {"units": 5, "activity_regularizer": config("L2", l2=0.1)}),
        ("activity_rank3", {"units": 5, "activity_regularizer": config("L1L2", l1=0.1, l2=0.2)}, (3, 4)),
        ("activity_softmax", {"units": 5, "activity_regularizer": config("L2", l2=0.1), "activation": "softmax"}),
        ("max_norm", {"units": 5, "kernel_constraint": config("MaxNorm", max_value=0.9, axis=0)}),
        ("max_norm_axis1", {"units": 5, "kernel_constraint": config("MaxNorm", max_value=0.9, axis=1)}),
        ("max_norm_both", {"units": 5, "kernel_constraint": config("MaxNorm", max_value=0.9, axis=[0, 1])}),
        ("non_neg", {"units": 5, "kernel_constraint": config("NonNeg"), "bias_constraint": config("NonNeg")}),
        ("unit_norm", {"units": 5, "kernel_constraint": config("UnitNorm", axis=0)}),
        ("unit_norm_axis1", {"units": 5, "kernel_constraint": config("UnitNorm", axis=1)}),
        (
            "min_max_norm",
            {"units": 5, "kernel_constraint": config("MinMaxNorm", min_value=1.1, max_value=1.2, rate=0.7, axis=0)},
        ),
        (
            "min_max_norm_axis1",
            {"units": 5, "kernel_constraint": config("MinMaxNorm", min_value=1.1, max_value=1.2, rate=1.0, axis=1)},
        ),
        ("max_norm_bias", {"units": 5, "bias_constraint": config("MaxNorm", max_value=0.5, axis=0)}),
    ),
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
    *rows(
        "Dropout",
        ("plain", {"rate": 0.3}),
        ("zero", {"rate": 0}),
        ("all", {"rate": 1.0}),
        ("rank3", {"rate": 0.5}, (3, 4)),
        ("shared_steps", {"rate": 0.4, "noise_shape": [None, 1, 4]}, (3, 4)),
        ("shared_features", {"rate": 0.4, "noise_shape": [None, 3, 1]}, (3, 4)),
        ("shared_rows", {"rate": 0.4, "noise_shape": [1, 3, 4]}, (3, 4)),
        random=True,
    ),
    *rows(
        "GaussianDropout",
        ("plain", {"rate": 0.3}),
        ("zero", {"rate": 0}),
        ("rank3", {"rate": 0.5}, (3, 4)),
        random=True,
    ),
    *rows(
        "GaussianNoise",
        ("plain", {"stddev": 0.3}),
        ("zero", {"stddev": 0}),
        ("rank3", {"stddev": 1.0}, (3, 4)),
        random=True,
    ),
    *rows(
        "AlphaDropout",
        ("plain", {"rate": 0.3}),
        ("zero", {"rate": 0}),
        ("rank3", {"rate": 0.5}, (3, 4)),
        ("shared_steps", {"rate": 0.4, "noise_shape": [None, 1, 4]}, (3, 4)),
        random=True,
    ),
    *rows(
        "ActivityRegularization",
        ("l1", {"l1": 0.1}),
        ("l2", {"l2": 0.2}),
        ("both", {"l1": 0.1, "l2": 0.2}, (3, 4)),
        ("none", {}),
    ),
    *rows(
        "BatchNormalization",
        ("plain", {}),
        ("no_center", {"center": False}),
        ("no_scale", {"scale": False}),
        ("bare", {"center": False, "scale": False}),
        ("momentum", {"momentum": 0.6, "epsilon": 0.02}),
        ("momentum_zero", {"momentum": 0.0}),
        ("rank3", {}, (3, 4)),
        ("rank3_axis1", {"axis": 1}, (3, 4)),
        ("open_axis", {}, (None, 4)),
        ("rank4", {}, (2, 3, 4)),
        ("rank4_axis1", {"axis": 1, "momentum": 0.9}, (2, 3, 4)),
        ("rank4_axis2", {"axis": 2, "scale": False}, (2, 3, 4)),
        ("rank4_axis_minus2", {"axis": -2, "center": False}, (2, 3, 4)),
        ("rank5", {"momentum": 0.8}, (2, 2, 3, 4)),
        ("frozen", {"trainable": False}),
        (
            "regularized",
            {
                "gamma_regularizer": config("L2", l2=0.3),
                "beta_regularizer": config("L1", l1=0.2),
                "gamma_constraint": config("NonNeg"),
                "beta_constraint": config("MaxNorm", max_value=0.3, axis=0),
            },
        ),
    ),
    *rows(
        "LayerNormalization",
        ("plain", {}),
        ("no_center", {"center": False}),
        ("no_scale", {"scale": False}),
        ("bare", {"center": False, "scale": False}),
        ("epsilon", {"epsilon": 0.1}),
        ("rank3", {}, (3, 4)),
        ("axis1", {"axis": 1}, (3, 4)),
        ("axis1_no_scale", {"axis": 1, "scale": False}, (3, 4)),
        ("both_axes", {"axis": [1, 2]}, (3, 4)),
        ("both_axes_backwards", {"axis": [2, 1]}, (3, 4)),
        ("both_axes_negative", {"axis": [-2, -1], "center": False}, (3, 4)),
        ("far_axes", {"axis": [1, 3]}, (2, 3, 4)),
        ("middle_axis", {"axis": 2, "center": False}, (2, 3, 4)),
        ("open_axis", {}, (None, 4)),
        ("regularized", {"gamma_regularizer": config("L2", l2=0.3), "beta_constraint": config("NonNeg")}),
    ),
    *rows(
        "UnitNormalization",
        ("plain", {}),
        ("axis1", {"axis": 1}, (3, 4)),
        ("two_axes", {"axis": [1, 2]}, (3, 4)),
        ("negative_axes", {"axis": [-1, -2]}, (2, 3, 4)),
    ),
    *rows("UnitNormalization", ("tiny", {}), ("tiny_two_axes", {"axis": [1, 2]}, (3, 4)), values="tiny"),
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
    *rows(
        "Rescaling",
        ("scale", {"scale": 1 / 255}),
        ("offset", {"scale": 2, "offset": -1}),
        ("lists", {"scale": [0.5, 2.0, 1.5, 3.0], "offset": [1.0, -1.0, 0.0, 2.0]}, (3, 4)),
        ("list_scale", {"scale": [0.5, 2.0, 1.5, 3.0]}, (4,)),
        ("list_offset", {"scale": 0.5, "offset": [1.0, -1.0, 0.0, 2.0]}, (4,)),
        ("tuple", {"scale": (0.5, 2.0, 1.5, 3.0), "offset": 0.1}, (4,)),
    ),
    *rows("Rescaling", ("bytes", {"scale": 1 / 255, "offset": -0.5}, (2, 2, 3)), dtype="uint8", values="bytes"),
    *rows("Rescaling", ("integers", {"scale": 0.1}), dtype="int32", values="bytes"),
    *rows(
        "Normalization",
        ("given", {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [0.5, 1.0, 2.0, 3.0]}, (4,)),
        ("given_scalar", {"mean": 0.5, "variance": 2.0, "axis": None}, (3, 4)),
        ("given_scalar_last", {"mean": 0.5, "variance": 2.0}, (3, 4)),
        ("given_rank3", {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [0.5, 1.0, 2.0, 3.0]}, (3, 4)),
        ("given_axis1", {"mean": [1.0, 2.0, 3.0], "variance": [0.5, 1.0, 2.0], "axis": 1}, (3, 4)),
        (
            "given_two_axes",
            {"mean": [[1.0, 2.0], [3.0, 4.0]], "variance": [[0.5, 1.0], [2.0, 3.0]], "axis": (1, 3)},
            (2, 3, 2),
        ),
        ("given_fewer_axes", {"mean": [1.0, 2.0], "variance": [0.5, 1.0], "axis": (1, 3)}, (3, 4, 2)),
        ("given_invert", {"mean": [1.0, 2.0], "variance": [0.5, 2.0], "invert": True}, (2,)),
        ("given_zero_variance", {"mean": [1.0, 2.0], "variance": [0.0, 2.0]}, (2,)),
        ("given_one_feature", {"mean": [1.5], "variance": [0.5]}, (3, 1)),
        ("given_mixed_ones", {"mean": [[1.0], [2.0]], "variance": [[0.5], [2.0]], "axis": (1, 2)}, (2, 1)),
    ),
    *rows(
        "Normalization",
        ("adapted", {}, (4,)),
        ("adapted_rank3", {}, (3, 4)),
        ("adapted_axis1", {"axis": 1}, (3, 4)),
        ("adapted_axes", {"axis": (1, 2)}, (3, 4)),
        ("adapted_backwards", {"axis": (-1, 1)}, (3, 4)),
        ("adapted_none", {"axis": None}, (3, 4)),
        ("adapted_invert", {"invert": True}, (4,)),
        adapt=True,
    ),
    *rows("Normalization", ("adapted_bytes", {}, (2, 3)), dtype="uint8", values="bytes", adapt=True),
    *rows("Identity", ("plain", {}), ("rank4", {}, (2, 3, 4))),
    *rows(
        "Masking",
        ("zero", {}, (3, 4)),
        ("value", {"mask_value": -1.0}, (3, 4)),
        ("rank4", {}, (2, 3, 4)),
        values="steps",
    ),
    *[
        case
        for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum")
        for case in rows(
            kind,
            ("two", {}, (4,), (4,)),
            ("three", {}, (4,), (4,), (4,)),
            ("four", {}, (2, 3), (2, 3), (2, 3), (2, 3)),
            ("broadcast", {}, (3, 4), (1, 4)),
            ("broadcast_both", {}, (3, 1), (1, 4)),
            ("ranks", {}, (3, 4), (4,)),
            ("three_ranks", {}, (4,), (2, 3, 4), (3, 4)),
        )
    ],
    *rows(
        "Subtract",
        ("two", {}, (4,), (4,)),
        ("broadcast", {}, (3, 4), (1, 4)),
        ("ranks", {}, (4,), (3, 4)),
        ("rank4", {}, (2, 3, 4), (2, 3, 4)),
    ),
    *rows(
        "Concatenate",
        ("two", {}, (4,), (3,)),
        ("three", {}, (4,), (3,), (2,)),
        ("axis1", {"axis": 1}, (2, 4), (3, 4)),
        ("axis_minus2", {"axis": -2}, (2, 4), (3, 4)),
        ("rank4", {"axis": 2}, (2, 1, 4), (2, 3, 4)),
        ("open_axis", {"axis": 1}, (None, 4), (3, 4)),
    ),
    *rows(
        "Dot",
        ("vectors", {"axes": 1}, (4,), (4,)),
        ("vectors_minus1", {"axes": -1}, (4,), (4,)),
        ("matrices", {"axes": 2}, (3, 4), (2, 4)),
        ("matrices_axis1", {"axes": 1}, (3, 4), (3, 2)),
        ("matrices_mixed", {"axes": (2, 1)}, (3, 4), (4, 2)),
        ("matrices_negative", {"axes": (-1, -2)}, (3, 4), (4, 2)),
        ("matrix_vector", {"axes": (2, 1)}, (3, 4), (4,)),
        ("vector_matrix", {"axes": (1, 2)}, (4,), (3, 4)),
        ("matrix_vector_minus1", {"axes": -1}, (3, 4), (4,)),
        ("rank4", {"axes": (3, 1)}, (2, 3, 4), (4, 2)),
        ("rank4_both", {"axes": (1, 3)}, (4, 2, 3), (2, 3, 4)),
        ("cosine", {"axes": 1, "normalize": True}, (4,), (4,)),
        ("cosine_matrices", {"axes": (2, 1), "normalize": True}, (3, 4), (4, 2)),
    ),
    *rows("Dot", ("cosine_tiny", {"axes": 1, "normalize": True}, (4,), (4,)), values="tiny"),
]

# Built and refused: layer class, options, the shape of its input.
REFUSED = [
    ("Conv2D", {"filters": 2, "kernel_size": 2}, (4, 4, 1)),
    ("Conv1D", {"filters": 2, "kernel_size": 2}, (4, 2)),
    ("DepthwiseConv2D", {"kernel_size": 2}, (4, 4, 2)),
    ("MaxPooling2D", {}, (4, 4, 1)),
    ("GlobalAveragePooling1D", {}, (4, 2)),
    ("LSTM", {"units": 2}, (4, 2)),
    ("GRU", {"units": 2}, (4, 2)),
    ("SimpleRNN", {"units": 2}, (4, 2)),
    ("Embedding", {"input_dim": 5, "output_dim": 2}, (4,)),
    ("ZeroPadding1D", {}, (4, 2)),
    ("UpSampling1D", {}, (4, 2)),
    ("SpatialDropout1D", {"rate": 0.5}, (4, 2)),
    ("GroupNormalization", {"groups": 2}, (4, 2)),
    ("RMSNormalization", {}, (4,)),
    ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 3}, (4,)),
    ("Discretization", {"bin_boundaries": [0.0, 1.0]}, (4,)),
]
