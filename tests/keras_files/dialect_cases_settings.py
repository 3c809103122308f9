"""The settings of layers, and layers that are gone."""

from __future__ import annotations

from dialect_case import HARD, Dialect

CASES = [
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
    Dialect(
        "activation_objects",
        "2.13.0",
        "Activation",
        {"activation": {"class_name": "function", "config": "log_softmax_v2", "registered_name": "function"}},
        {"activation": "log_softmax"},
    ),
    Dialect("causal_attention", "2.4.0", "Attention", {"causal": False}, {}),
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
    Dialect("slashes_in_names", "2.4.0", "Dense", {"name": ["a/b"]}, refused="no form"),
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
]
