"""What Keras 1 wrote, and Theano."""

from __future__ import annotations

from typing import Any

from dialect_case import HARD, Dialect, called, tensor


def branch(name: str) -> dict[str, Any]:
    """A model of one layer, as Keras 1 wrote it."""
    config = {"name": name, "output_dim": 2, "batch_input_shape": [None, 3]}
    return {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": config}]}


def joined(name: str, on: str) -> dict[str, Any]:
    return called("Dense", name, [{"args": [tensor(on)], "kwargs": {}}], units=2)


_POOLING = ("average", "counted", "cropped")
CASES = [
    Dialect("names_of_keras1_classes", "1.2.2", "Convolution2D", {}, {}, new="Conv2D"),
    Dialect("names_of_keras1_classes", "1.0.0", "TimeDistributedDense", {}, {}, new="Dense"),
    Dialect(
        "names_of_keras1_settings",
        "1.2.2",
        "Dense",
        {"output_dim": 2, "init": "glorot_uniform", "W_regularizer": None, "bias": True, "input_dim": 3},
        {"units": 2, "kernel_initializer": "glorot_uniform", "kernel_regularizer": None, "use_bias": True},
    ),
    Dialect(
        "names_of_keras1_settings",
        "1.1.0",
        "LSTM",
        {
            "output_dim": 2,
            "inner_activation": "sigmoid",
            "forget_bias_init": "one",
            "dropout_U": 0.2,
            "consume_less": "cpu",
        },
        {"units": 2, "recurrent_activation": "sigmoid", "unit_forget_bias": True, "recurrent_dropout": 0.2},
    ),
    Dialect("names_of_keras1_settings", "1.2.2", "Dropout", {"p": 0.5}, {"rate": 0.5}),
    Dialect("names_of_keras1_settings", "1.2.2", "GaussianNoise", {"sigma": 0.5}, {"stddev": 0.5}),
    Dialect("names_of_keras1_settings", "1.2.2", "UpSampling1D", {"length": 2}, {"size": 2}),
    Dialect(
        "names_of_keras1_settings",
        "1.2.2",
        "Embedding",
        {"input_dim": 9, "output_dim": 2, "init": "uniform", "W_constraint": None},
        {"input_dim": 9, "output_dim": 2, "embeddings_initializer": "random_uniform", "embeddings_constraint": None},
    ),
    Dialect(
        "keras1_kernel_sizes",
        "1.2.2",
        "Convolution2D",
        {"nb_filter": 2, "nb_row": 3, "nb_col": 4, "subsample": [1, 2], "border_mode": "same", "dim_ordering": "tf"},
        {"filters": 2, "kernel_size": [3, 4], "strides": [1, 2], "padding": "same", "data_format": "channels_last"},
        new="Conv2D",
    ),
    Dialect("keras1_border_mode", "1.2.2", "MaxPooling1D", {"border_mode": "valid"}, {"padding": "valid"}),
    Dialect(
        "keras1_border_mode",
        "1.2.2",
        "AveragePooling1D",
        {"border_mode": "full"},
        refused="pads its input in the way 'full'",
    ),
    Dialect("keras1_dim_ordering", "1.2.2", "ZeroPadding2D", {"dim_ordering": "th"}, {"data_format": "channels_first"}),
    Dialect(
        "keras1_kernels",
        "1.2.2",
        "ConvLSTM2D",
        {"dim_ordering": "th", "nb_filter": 2, "nb_row": 3, "nb_col": 3, "forget_bias_init": "one"},
        {
            "data_format": "channels_first",
            "filters": 2,
            "kernel_size": [3, 3],
            "unit_forget_bias": True,
            "recurrent_activation": HARD,
        },
        layout="keras1_ConvLSTM2D_first",
    ),
    Dialect("keras1_kernels", "1.2.2", "Convolution1D", {}, {}, new="Conv1D", layout="keras1_Conv1D"),
    Dialect(
        "keras1_kernels",
        "1.2.2",
        "Convolution2D",
        {"dim_ordering": "th"},
        {"data_format": "channels_first"},
        new="Conv2D",
        layout="keras1_Conv2D_first",
    ),
    Dialect("keras1_initializers", "1.2.2", "Dense", {"init": "normal"}, {"kernel_initializer": "random_normal"}),
    Dialect(
        "keras1_penalties",
        "1.2.2",
        "Dense",
        {
            "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.1},
            "W_constraint": {"name": "MaxNorm", "m": 3},
        },
        {
            "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.1}},
            "kernel_constraint": {"class_name": "MaxNorm", "config": {"max_value": 3, "axis": 0}},
        },
    ),
    Dialect(
        "keras1_penalties",
        "1.2.2",
        "Dense",
        {"W_regularizer": {"name": "Eigenvalue"}},
        refused="kernel_regularizer 'Eigen",
    ),
    Dialect("keras1_batch_normalization", "1.2.2", "BatchNormalization", {"mode": 0, "axis": 1}, {"axis": 1}),
    Dialect(
        "keras1_batch_normalization",
        "1.2.2",
        "BatchNormalization",
        {"mode": 1, "axis": -1},
        {"axis": -1},
        new="SampleNormalization",
    ),
    Dialect("keras1_batch_normalization", "1.2.2", "BatchNormalization", {"mode": 2}, {}, new="BatchStatistics"),
    Dialect("keras1_batch_normalization", "1.2.2", "BatchNormalization", {"mode": 3}, refused="has mode=3"),
    Dialect(
        "batch_normalization_by_deviations",
        "1.0.5",
        "BatchNormalization",
        {"mode": 0, "axis": 1},
        {"axis": 1, "by_batch": False},
        new="DeviationNormalization",
    ),
    Dialect(
        "batch_normalization_by_deviations",
        "1.0.4",
        "BatchNormalization",
        {"mode": 1},
        {"twice": False},
        new="SampleNormalization",
    ),
    Dialect(
        "batch_normalization_by_deviations",
        "1.0.6",
        "BatchNormalization",
        {"mode": 2},
        {"by_batch": True},
        new="DeviationNormalization",
        backend="theano",
    ),
    Dialect(
        "batch_normalization_by_deviations",
        "1.0.7",
        "BatchNormalization",
        {"mode": 0},
        {"by_batch": False},
        new="RootNormalization",
        backend="theano",
    ),
    Dialect("keras1_batch_normalization", "1.0.7", "BatchNormalization", {"mode": 0}, {}),  # on TensorFlow as ever
    Dialect(
        "keras1_output_shape",
        "1.2.2",
        "Deconvolution2D",
        {"subsample": [2, 2], "output_shape": [None, 3, 8, 9], "dim_ordering": "th"},
        {"strides": [2, 2], "output_size": [8, 9], "data_format": "channels_first"},
        new="Conv2DTranspose",
        layout="keras1_Conv2DTranspose_first",
    ),
    Dialect("keras1_embedding_dropout", "1.2.2", "Embedding", {"dropout": 0.0}, {}),
    Dialect(
        "keras1_embedding_dropout", "1.2.2", "Embedding", {"dropout": 0.2}, {"dropout": 0.2}, new="DroppingEmbedding"
    ),
    Dialect("keras1_initializers", "1.2.2", "Dense", {"init": {"a": 1}}, refused=r"no form that Keras 1\.2\.2 wrote"),
    Dialect(
        "padding_of_theano",  # in full, which Theano alone can
        "1.2.2",
        "Convolution1D",
        {"border_mode": "full"},
        {"padding": "valid", "pads": "full"},
        new="Conv1D",
        layout="keras1_Conv1D_flipped",
    ),
    Dialect(
        "padding_of_theano",
        "2.0.5",
        "Conv2D",
        {"padding": "same", "kernel_size": [3, 2], "strides": [1, 1]},
        {"padding": "valid", "pads": "half", "kernel_size": [3, 2], "strides": [1, 1]},
        layout="flipped",
        backend="theano",
    ),
    Dialect(
        "padding_of_theano",  # what comes out is cropped by the size of the kernel over the channels, which is 1
        "2.2.4",
        "SeparableConv2D",
        {"padding": "same", "kernel_size": [2, 2], "strides": [1, 1]},
        {"padding": "valid", "pads": "both", "kernel_size": [2, 2], "strides": [1, 1]},
        backend="theano",
    ),
    Dialect(
        "padding_of_theano",
        "1.2.2",
        "Deconvolution2D",
        {"border_mode": "same", "nb_row": 2, "nb_col": 3, "subsample": [1, 1], "output_shape": [None, 4, 6, 2]},
        {"padding": "same", "pads": "half", "kernel_size": [2, 3], "strides": [1, 1], "output_size": [4, 6]},
        new="Conv2DTranspose",
        backend="theano",
    ),
    *(
        Dialect("padding_of_theano", version, kind, {"padding": "same", **config}, refused=said, backend="theano")
        for version, kind, config, said in (
            ("2.1.4", "DepthwiseConv2D", {"kernel_size": [2, 2]}, "is none that Keras 2.1.4 had on Theano"),
            ("2.2.4", "Conv3DTranspose", {"kernel_size": [3, 2, 3]}, "has an even kernel and padding"),
            ("1.1.0", "Conv3D", {"kernel_size": [3, 3, 3], "strides": [2, 1, 1]}, "has strides and padding"),
            ("1.2.0", "Conv3D", {"kernel_size": [2, 3, 3], "strides": [1, 1, 1]}, "before Theano 0.9"),
        )
    ),
    Dialect(
        "states_of_theano",
        "2.0.5",
        "ConvLSTM2D",
        {"padding": "valid", "kernel_size": [3, 2], "recurrent_activation": "tanh"},
        {"padding": "valid", "pads": "half", "kernel_size": [3, 2], "recurrent_activation": "tanh"},
        layout="flipped",
        backend="theano",
    ),
    *(
        Dialect(
            "poolings_of_theano",
            version,
            kind,
            {"padding": "same", "pool_size": [size] * rank, "strides": [2] * rank},
            {"pool_size": [size] * rank, "strides": [2] * rank, **dict(zip(_POOLING, said, strict=True))},
            new="PaddedPooling",
            backend="theano",
        )
        for version, kind, rank, size, said in (  # of 5 it padded 3, not 2
            ("2.0.5", "MaxPooling2D", 2, 3, (False, False, True)),
            ("2.1.4", "AveragePooling1D", 1, 5, (True, True, True)),
            ("2.1.5", "AveragePooling3D", 3, 2, (True, False, False)),
            ("2.2.4", "AveragePooling2D", 2, 2, (True, False, True)),
        )
    ),
    *(
        Dialect("poolings_of_theano", version, kind, config | {"padding": "same"}, refused=said, backend="theano")
        for version, kind, config, said in (
            ("2", "AveragePooling2D", {"pool_size": [2, 2]}, "are not alike"),
            ("2.2.4", "MaxPooling3D", {"pool_size": [1, 2, 2]}, "had Theano pad by -1"),
        )
    ),
    Dialect("kernels_of_theano", "2.0.5", "Conv2D", {"filters": 2}, {"filters": 2}, layout="flipped", backend="theano"),
    Dialect("keras1_merge", "1.2.2", "Merge", {"mode": "sum", "mode_type": "raw"}, {"trainable": True}, new="Add"),
    Dialect(
        "keras1_merge",
        "1.2.2",
        "Merge",
        {"mode": "concat", "concat_axis": 1},
        {"trainable": True, "axis": 1},
        new="Concatenate",
    ),
    Dialect(
        "keras1_merge", "1.2.2", "Merge", {"mode": "cos", "dot_axes": 1}, {"axes": 1, "normalize": True}, new="Dot"
    ),
    Dialect(
        "keras1_merge", "1.2.2", "Merge", {"mode": "f", "mode_type": "lambda"}, refused="merges by the function 'f'"
    ),
    Dialect(
        "merge_of_branches",
        "1.2.2",
        "Sequential",
        [
            {"class_name": "Merge", "config": {"name": "m", "mode": "sum", "layers": [branch("a"), branch("b")]}},
            {"class_name": "Activation", "config": {"name": "act", "activation": "relu"}},
        ],
        {
            "name": "sequential",
            "layers": [
                *(called("InputLayer", "a_input", [], batch_shape=[None, 3], dtype="float32"), joined("a", "a_input")),
                *(called("InputLayer", "b_input", [], batch_shape=[None, 3], dtype="float32"), joined("b", "b_input")),
                called("Add", "m", [{"args": [[tensor("a"), tensor("b")]], "kwargs": {}}], trainable=True),
                called("Activation", "act", [{"args": [tensor("m")], "kwargs": {}}], activation="relu"),
            ],
            "input_layers": [["a_input", 0, 0], ["b_input", 0, 0]],
            "output_layers": ["act", 0, 0],
        },
        new="Functional",
        model=True,
    ),
    Dialect(
        "merge_of_branches",
        "1.2.2",
        "Sequential",
        [{"class_name": "Merge", "config": {"name": "m", "layers": [branch("a"), {"class_name": "Sequential"}]}}],
        refused="begins by merging models in no known way",
        model=True,
    ),
]
