"""A case for each entry of the table of upgrades: a layer as a version of Keras wrote it, and what comes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Dialect:
    """kind, config -> after, of what `version` wrote. new: the class afterwards, where it is another one.

    refused: what the reason matches, for what has no equal. layout: how the weights lie in the file. model: whether it
    is a whole model, no layer of one. nodes: inbound_nodes of the layer.
    """

    upgrade: str
    version: str
    kind: str
    config: Any
    after: Any = None
    new: str | None = None
    refused: str | None = None
    layout: str | None = None
    backend: str = "tensorflow"
    model: bool = False
    entry: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.upgrade}-{self.kind}-{self.version}"


HARD = {"class_name": "function", "config": "bridge>hard_sigmoid_of_keras2"}
NODE = json.dumps({"name": "add", "op": "AddV2", "attr": {"T": {"type": "DT_FLOAT"}}})
DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 2}}
INPUT = {"class_name": "InputLayer", "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "dense_input"}}


def functional(*layers: Any, **more: Any) -> dict[str, Any]:
    config = {"name": "model", "layers": list(layers), "input_layers": [["x", 0, 0]], "output_layers": [["d", 0, 0]]}
    return {**config, **more}


def called(kind: str, name: str, nodes: Any, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def tensor(name: str, call: int = 0, number: int = 0) -> dict[str, Any]:
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, call, number]}
    return {"class_name": "__keras_tensor__", "config": config}


X = called("InputLayer", "x", [], batch_shape=[None, 3], dtype="float32")
ADD = called("Add", "d", [[["x", 0, 0, {}], ["x", 0, 0, {}]]])
ADDED = called("Add", "d", [{"args": [[tensor("x"), tensor("x")]], "kwargs": {}}])
ENDS = {"input_layers": ["x", 0, 0], "output_layers": ["d", 0, 0]}


def branch(name: str) -> dict[str, Any]:
    """A model of one layer, as Keras 1 wrote it."""
    config = {"name": name, "output_dim": 2, "batch_input_shape": [None, 3]}
    return {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": config}]}


def joined(name: str, on: str) -> dict[str, Any]:
    return called("Dense", name, [{"args": [tensor(on)], "kwargs": {}}], units=2)


LOSS = [
    called("TFOpLambda", "tf.square", [["d", 0, 0, {}]], function="math.square"),
    called("AddLoss", "l", [[["tf.square", 0, 0, {}]]]),
]

MASKED = {
    "name": "s",
    "layers": [
        {"class_name": "Embedding", "config": {"name": "e", "mask_zero": True}},
        {"class_name": "MultiHeadAttention", "config": {"name": "m"}},
    ],
}

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
    Dialect(
        "padding_of_theano",  # in full, which Theano alone can
        "1.2.2",
        "Convolution1D",
        {"border_mode": "full"},
        {"padding": "valid", "pads": "full"},
        new="PaddedConv1D",
        layout="keras1_Conv1D_flipped",
    ),
    Dialect(
        "padding_of_theano",
        "2.0.5",
        "Conv2D",
        {"padding": "same", "kernel_size": [3, 2], "strides": [1, 1]},
        {"padding": "valid", "pads": "half", "kernel_size": [3, 2], "strides": [1, 1]},
        new="PaddedConv2D",
        layout="flipped",
        backend="theano",
    ),
    Dialect(
        "padding_of_theano",
        "2.0.5",
        "MaxPooling2D",
        {"padding": "same", "pool_size": [3, 3], "strides": [2, 2]},
        {"pool_size": [3, 3], "strides": [2, 2], "average": False},
        new="PaddedPooling",
        backend="theano",
    ),
    Dialect(
        "padding_of_theano",  # of 5 it padded 3, not 2
        "2.2.4",
        "AveragePooling1D",
        {"padding": "same", "pool_size": [5], "strides": [1]},
        {"pool_size": [5], "strides": [1], "average": True},
        new="PaddedPooling",
        backend="theano",
    ),
    Dialect(
        "padding_of_theano",
        "2.2.4",
        "DepthwiseConv2D",
        {"padding": "same", "kernel_size": [2, 2], "strides": [1, 1]},
        refused="pads as Theano did",
        backend="theano",
    ),
    Dialect("keras1_dim_ordering", "1.2.2", "ZeroPadding2D", {"dim_ordering": "th"}, {"data_format": "channels_first"}),
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
    Dialect("keras1_embedding_dropout", "1.2.2", "Embedding", {"dropout": 0.0}, {}),
    Dialect("keras1_embedding_dropout", "1.2.2", "Embedding", {"dropout": 0.2}, refused="has dropout=0.2"),
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
    Dialect(
        "sequential_as_a_list",
        "2.1.6",
        "Sequential",
        [INPUT, DENSE],
        {"name": "sequential", "layers": [INPUT, DENSE]},
        model=True,
    ),
    Dialect(
        "functional_class",
        "2.1.6",
        "Model",
        functional(X, ADD),
        functional(X, ADDED, **ENDS),
        new="Functional",
        model=True,
    ),
    Dialect(
        "input_layer_shape",
        "2.2.4",
        "InputLayer",
        {"batch_input_shape": [None, 2], "dtype": "int32", "sparse": True},
        {"batch_shape": [None, 2], "dtype": "int32"},
    ),
    Dialect(
        "ragged_input",
        "2.3.0",
        "InputLayer",
        {"batch_input_shape": [None, None], "ragged": True},
        {"batch_shape": [None, None], "dtype": "float32"},
    ),
    Dialect("input_layer_shape", "2.3.0", "InputLayer", {}, refused="has no shape"),
    Dialect(
        "sequential_input",
        "2.2.4",
        "Sequential",
        {
            "name": "s",
            "layers": [
                {"class_name": "Dense", "config": {"name": "dense", "batch_input_shape": [None, 3], "units": 2}}
            ],
        },
        {"name": "s", "layers": [INPUT, DENSE]},
        model=True,
    ),
    Dialect(
        "model_settings",
        "2.5.0",
        "Sequential",
        {"name": "s", "layers": [INPUT, DENSE], "shared_inputs": 1},
        {"name": "s", "layers": [INPUT, DENSE]},
        model=True,
    ),
    Dialect("added_losses", "2.4.0", "Functional", functional(X, ADD, *LOSS), functional(X, ADDED, **ENDS), model=True),
    Dialect(
        "other_class_names", "2.2.4-tf", "BatchNormalizationV1", {"axis": -1}, {"axis": -1}, new="BatchNormalization"
    ),
    Dialect("other_module_names", "2.16.0", "Dense", {}, {}, entry={"module": "tf_keras.layers"}),
    Dialect("numpy_numbers", "2.0.5", "ELU", {"alpha": {"type": "ndarray", "value": 0.3}}, {"alpha": 0.3}),
    Dialect("slashes_in_names", "2.2.4", "Dense", {"name": "block/dense"}, {"name": "block_dense"}),
    Dialect(
        "dtype_policies",
        "2.4.0",
        "Dense",
        {"dtype": {"class_name": "Policy", "config": {"name": "float32"}}},
        {"dtype": "float32"},
    ),
    Dialect("dtype_policies", "2.1.0", "Dense", {"dtype": {"class_name": "PolicyV1", "config": {"name": "infer"}}}, {}),
    Dialect("input_shape_of_a_layer", "2.2.4", "Dense", {"batch_input_shape": [None, 2], "input_dtype": "float32"}, {}),
    Dialect("embedding_input_length", "2.2.4", "Embedding", {"input_length": 5}, {}),
    Dialect("leaky_relu_alpha", "2.2.4", "LeakyReLU", {"alpha": 0.1}, {"negative_slope": 0.1}),
    Dialect("batch_normalization_axis", "2.2.4-tf", "BatchNormalization", {"axis": [3]}, {"axis": 3}),
    Dialect(
        "batch_normalization_axis", "2.2.4-tf", "BatchNormalization", {"axis": [1, 2]}, refused="over 2 axes at once"
    ),
    Dialect(
        "batch_normalization_options",
        "2.1.6-tf",
        "BatchNormalization",
        {"renorm": False, "renorm_clipping": None, "fused": True, "virtual_batch_size": None},
        {},
    ),
    Dialect(
        "batch_normalization_options",
        "2.1.6-tf",
        "BatchNormalization",
        {"virtual_batch_size": 4},
        refused="virtual_batch_size=4",
    ),
    Dialect(
        "initializer_dtype",
        "2.2.4-tf",
        "Dense",
        {"kernel_initializer": {"class_name": "Zeros", "config": {"dtype": "float32"}}},
        {"kernel_initializer": {"class_name": "Zeros", "config": {}}},
    ),
    Dialect(
        "activation_objects",
        "2.2.4-tf",
        "Dense",
        {"activation": {"class_name": "selu", "config": {}}},
        {"activation": "selu"},
    ),
    Dialect(
        "activation_objects",
        "2.3.0-tf",
        "Dense",
        {"activation": {"class_name": "function", "config": "selu"}},
        {"activation": "selu"},
    ),
    Dialect("activation_objects", "2.2.4-tf", "Activation", {"activation": "softmax_v2"}, {"activation": "softmax"}),
    Dialect("hard_sigmoid", "2.15.0", "Dense", {"activation": "hard_sigmoid"}, {"activation": HARD}),
    Dialect("one_group", "2.3.0", "Conv2DTranspose", {"groups": 1}, {}),
    Dialect("one_group", "2.3.0", "DepthwiseConv2D", {"groups": 2}, refused="has groups=2"),
    Dialect(
        "kernel_of_separable", "2.4.0", "SeparableConv2D", {"kernel_initializer": None, "kernel_constraint": None}, {}
    ),
    Dialect("spatial_noise_shape", "2.9.0", "SpatialDropout1D", {"noise_shape": None}, {}),
    Dialect("trainable_without_weights", "2.2.4", "SpatialDropout2D", {"rate": 0.1, "trainable": True}, {"rate": 0.1}),
    Dialect("random_generators", "2.10.0", "RandomFlip", {"rng_type": "stateful"}, {}),
    Dialect("vocabulary_size", "2.8.0", "IntegerLookup", {"vocabulary_size": 4}, {}),
    Dialect(
        "preprocessing_names",
        "2.4.0",
        "CategoryEncoding",
        {"max_tokens": 4, "output_mode": "binary"},
        {"num_tokens": 4, "output_mode": "multi_hot"},
    ),
    Dialect("preprocessing_names", "2.4.0", "Discretization", {"bins": [0.0, 1.0]}, {"bin_boundaries": [0.0, 1.0]}),
    Dialect(
        "attention_shapes",
        "2.9.0",
        "MultiHeadAttention",
        {"query_shape": [None, 2, 3], "key_shape": None, "value_shape": None},
        {},
    ),
    Dialect("no_activity_regularizer", "2.2.4", "Embedding", {"activity_regularizer": None}, {}),
    Dialect("kernels_of_theano", "2.0.5", "Conv2D", {"filters": 2}, {"filters": 2}, layout="flipped", backend="theano"),
    Dialect(
        "time_major",
        "2.2.4-tf",
        "LSTM",
        {"time_major": False, "recurrent_activation": "tanh"},
        {"recurrent_activation": "tanh"},
    ),
    Dialect(
        "time_major",
        "2.4.0",
        "SimpleRNN",
        {"time_major": True, "units": 2},
        {"layer": {"class_name": "SimpleRNN", "config": {"name": "layer", "units": 2}}},
        new="TimeMajor",
    ),
    Dialect("implementation", "2.1.6", "SimpleRNN", {"implementation": 1, "units": 2}, {"units": 2}),
    Dialect(
        "gru_reset_after",
        "2.1.2",
        "GRU",
        {"recurrent_activation": "tanh"},
        {"recurrent_activation": "tanh", "reset_after": False},
    ),
    Dialect("gates_by_default", "2.0.8", "LSTM", {"units": 2}, {"units": 2, "recurrent_activation": HARD}),
    Dialect(
        "conv_lstm_gates_by_default",
        "2.9.0",
        "ConvLSTM2D",
        {"filters": 2},
        {"filters": 2, "recurrent_activation": HARD},
    ),
    Dialect(
        "mask_beside_states",
        "2.2.4",
        "SimpleRNN",
        {"units": 2},
        {"units": 2},
        entry={"inbound_nodes": [[["x", 0, 0, {}], ["h", 0, 0, {}]]]},
    ),
    Dialect(
        "cudnn_lstm",
        "2.2.4",
        "CuDNNLSTM",
        {"units": 2},
        {"units": 2, "biases": 2},
        new="LSTM",
        layout="CuDNNLSTM",
    ),
    Dialect(
        "cudnn_gru",
        "2.2.4",
        "CuDNNGRU",
        {"units": 2},
        {"units": 2, "activation": "tanh", "use_bias": True, "recurrent_activation": "sigmoid", "reset_after": True},
        new="GRU",
        layout="CuDNNGRU",
    ),
    Dialect("thresholded_relu", "2.2.4", "ThresholdedReLU", {"theta": 0.3}, {"theta": 0.3}),
    Dialect("locally_connected", "2.4.0", "LocallyConnected2D", {"implementation": 3}, {"implementation": 3}),
    Dialect("random_sizes", "2.7.0", "RandomHeight", {"factor": 0.1}, {"factor": 0.1}),
    Dialect(
        "ended_experiments",
        "2.0.5",
        "MaxoutDense",
        {"output_dim": 2, "W_regularizer": None, "bias": True, "input_dim": 3},
        {"units": 2, "kernel_regularizer": None, "use_bias": True},
    ),
    Dialect("ended_experiments", "1.2.2", "SReLU", {"t_left_init": "zero"}, {"t_left_init": "zeros"}),
    Dialect("keras1_initializers", "1.2.2", "Dense", {"init": {"a": 1}}, refused=r"no form that Keras 1\.2\.2 wrote"),
    Dialect("slashes_in_names", "2.4.0", "Dense", {"name": ["a/b"]}, refused="no form"),
    Dialect("functions_between_layers", "2.7.0", "TFOpLambda", {"function": "math.add"}, {"function": "math.add"}),
    Dialect(
        "functions_between_layers",
        "2.7.0",
        "TFOpLambda",
        {"function": "io.read_file"},
        refused="calls TensorFlow's 'io.read_file'",
    ),
    Dialect(
        "operators_between_layers",
        "2.2.4-tf",
        "TensorFlowOpLayer",
        {"node_def": NODE, "constants": {"1": 2.0}, "dtype": "float32"},
        {"node_def": NODE, "constants": {"1": 2.0}},
    ),
    Dialect(
        "operators_between_layers",
        "2.2.4-tf",
        "TensorFlowOpLayer",
        {"node_def": 'name: "a"\nop: "PyFunc"'},
        refused="operator 'PyFunc'",
    ),
    Dialect(
        "operators_between_layers",
        "2.2.4-tf",
        "TensorFlowOpLayer",
        {"node_def": 'op: "Exp" "erimentalCSVDataset"'},  # side by side they are one string
        refused="operator None",
    ),
    Dialect(
        "methods_between_layers",
        "2.7.0",
        "ClassMethod",
        {"cls_symbol": "RaggedTensor", "method_name": "f"},
        refused="takes 'f' of",
    ),
    Dialect("calls_of_layers", "2.4.0", "Functional", functional(X, ADD), functional(X, ADDED, **ENDS), model=True),
    Dialect("attention_without_masks", "2.9.0", "Sequential", MASKED, MASKED, model=True),
]
