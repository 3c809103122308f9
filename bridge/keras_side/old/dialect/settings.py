"""Settings of layers that were renamed, moved, or came to be written in another way."""

from __future__ import annotations

from typing import Any

from bridge.keras_side.old.dialect.table import Entry, rename, upgrade

_CLASSES = {
    **dict.fromkeys(("BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"), "BatchNormalization"),
    **{f"Unified{kind}": kind for kind in ("LSTM", "GRU")},
    **{f"{kind}V{n}": kind for kind in ("LSTM", "GRU", "LSTMCell", "GRUCell") for n in (1, 2)},
}
_GROUPED = (
    *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "DepthwiseConv1D", "DepthwiseConv2D"),
    *("SeparableConv1D", "SeparableConv2D"),
)
_MODELS = ("Sequential", "Functional", "Model")


@upgrade("classes by the names that they had in other versions", "tensorflow 2.0: keras/layers/__init__.py")
def other_class_names(entry: Entry) -> bool:
    if entry.kind not in _CLASSES:
        return False
    entry.kind = _CLASSES[entry.kind]
    return True


@upgrade("modules by the names that tf_keras and tf.keras gave them", "tf-keras 2.16: saving/serialization_lib.py")
def other_module_names(entry: Entry) -> bool:
    return _modules(entry.node)


def _modules(value: Any) -> bool:
    """Gives keras's name to the modules of an entry and all within it but further layers."""
    if isinstance(value, list):
        return any([_modules(item) for item in value])
    if not isinstance(value, dict):
        return False
    module = value.get("module")
    changed = isinstance(module, str) and module.split(".")[0] in ("tf_keras", "tensorflow")
    if changed:
        words = [word for word in str(module).split(".") if word not in ("tf_keras", "tensorflow", "python")]
        value["module"] = ".".join(["keras", *(word for word in words if word != "keras")])
    return any([changed, *(_modules(item) for key, item in value.items() if key != "layers")])


@upgrade("numbers as numpy's types", "keras 2.1: models.py, get_json_type", until=(2, 4))
def numpy_numbers(entry: Entry) -> bool:
    return _plain_numbers(entry.config)


def _plain_numbers(value: Any) -> bool:
    changed = False
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        if isinstance(item, dict) and set(item) == {"type", "value"}:
            value[key] = item["value"]
            changed = True
        elif key != "layers":
            changed |= _plain_numbers(item)
    return changed


@upgrade("slashes in a layer's name, which Keras 3 does not allow", "keras 3.0: layers/layer.py, operation.py")
def slashes_in_names(entry: Entry) -> bool:
    if not entry.within or "/" not in entry.name:
        return False
    old = entry.name
    new = old.replace("/", "_")
    siblings = entry.within.config.get("layers")
    taken = {_name(node) for node in siblings} if isinstance(siblings, list) else set()
    number, free = 1, new
    while free in taken:
        number, free = number + 1, f"{new}_{number}"
    entry.renamed[free] = old
    if "name" in entry.node:
        entry.node["name"] = free
    entry.config["name"] = free
    return True


def _name(node: Any) -> Any:
    config = node.get("config") if isinstance(node, dict) else None
    return config.get("name") if isinstance(config, dict) else None


@upgrade("dtype as a policy of its own kind", "tensorflow 2.1: keras/mixed_precision/experimental/policy.py")
def dtype_policies(entry: Entry) -> bool:
    policy = entry.config.get("dtype")
    if not isinstance(policy, dict) or not isinstance(policy.get("config"), dict):
        return False
    name = policy["config"].get("name")
    if policy.get("class_name") in ("PolicyV1", "Policy") and isinstance(name, str):
        if name in ("infer", "infer_with_float32_vars", "_infer"):
            del entry.config["dtype"]
        else:
            entry.config["dtype"] = name
        return True
    return False


@upgrade("the shape of the input as a setting of a layer", "keras 2.0 to 2.15: engine/topology.py, base_layer.py")
def input_shape_of_a_layer(entry: Entry) -> bool:
    """Only what a Sequential model begins with needs it, and that has an InputLayer by now."""
    if entry.kind in ("InputLayer", *_MODELS):
        return False
    found = [key for key in ("batch_input_shape", "batch_shape", "input_shape", "input_dtype") if key in entry.config]
    for key in found:
        del entry.config[key]
    return bool(found)


@upgrade(
    "the length of an Embedding's input, which says nothing of what it computes",
    "keras 3.0: layers/core/embedding.py",
    kinds=("Embedding",),
)
def embedding_input_length(entry: Entry) -> bool:
    length = entry.config.pop("input_length", "absent")
    return length != "absent" or entry.drop("dropout", 0, 0.0)


@upgrade("names of settings of LeakyReLU", "keras 3.0: layers/activations/leaky_relu.py", kinds=("LeakyReLU",))
def leaky_relu_alpha(entry: Entry) -> bool:
    return rename(entry, {"alpha": "negative_slope"})


@upgrade("an axis as a list", "tensorflow 2.0: keras/layers/normalization.py", kinds=("BatchNormalization",))
def batch_normalization_axis(entry: Entry) -> bool:
    axis = entry.config.get("axis")
    if not isinstance(axis, list):
        return False
    if len(axis) != 1:
        entry.refuse(f"normalizes over {len(axis)} axes at once (axis={axis}), which Keras 3 has no equal to.")
        return False
    entry.config["axis"] = axis[0]
    return True


@upgrade(
    "options of BatchNormalization that are off",
    "tensorflow 1.13 to 2.15: keras/layers/normalization.py",
    kinds=("BatchNormalization",),
)
def batch_normalization_options(entry: Entry) -> bool:
    found = [entry.drop("virtual_batch_size", None), entry.drop("adjustment", None)]
    found += [entry.config.pop("fused", "absent") != "absent"]
    if entry.config.get("renorm") is False:
        for key in ("renorm", "renorm_clipping", "renorm_momentum"):
            found.append(entry.config.pop(key, "absent") != "absent")
    return any(found)


@upgrade("an initializer's own dtype", "keras 3.0: initializers/random_initializers.py")
def initializer_dtype(entry: Entry) -> bool:
    found = False
    for key, value in entry.config.items():
        inner = value.get("config") if key.endswith("initializer") and isinstance(value, dict) else None
        if isinstance(inner, dict) and "dtype" in inner:
            del inner["dtype"]
            found = True
    return found


@upgrade("activations as objects with their name in it", "tensorflow 2.0: keras/activations.py, serialize")
def activation_objects(entry: Entry) -> bool:
    """{"class_name": "function", "config": "selu"}, {"class_name": "selu", ...} and softmax_v2 are the plain names."""
    found = False
    for key, value in entry.config.items():
        if not key.endswith("activation"):
            continue
        name = value
        if isinstance(value, dict):
            name = value.get("config") if value.get("class_name") == "function" else value.get("class_name")
            own = value.get("registered_name") in (None, name) and "function_type" not in value
            if own and isinstance(name, str) and name.islower() and name.isidentifier():
                entry.config[key], found = name, True
        if isinstance(name, str) and name in ("softmax_v2", "log_softmax_v2"):  # TensorFlow's own, of tf.nn
            entry.config[key], found = name.removesuffix("_v2"), True
    return found


@upgrade(
    "hard_sigmoid is 0.2x + 0.5 in Keras 1 and 2, and relu6(x + 3) / 6 in Keras 3",
    "keras 3.0: activations/activations.py; keras 2.0: backend/tensorflow_backend.py, hard_sigmoid",
    means=True,
)
def hard_sigmoid(entry: Entry) -> bool:
    found = [key for key, value in entry.config.items() if key.endswith("activation") and value == "hard_sigmoid"]
    for key in found:
        entry.config[key] = {"class_name": "function", "config": "bridge>hard_sigmoid_of_keras2"}
    return bool(found)


@upgrade(
    "groups of layers that know no groups", "tf-keras 2.3 to 2.15: layers/convolutional/base_conv.py", kinds=_GROUPED
)
def one_group(entry: Entry) -> bool:
    return entry.drop("groups", 1)


@upgrade(
    "settings of the kernel that a separable or depthwise convolution does not have",
    "keras 2.0 to 2.15: layers/convolutional.py, _Conv",
    kinds=("SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D"),
)
def kernel_of_separable(entry: Entry) -> bool:
    keys = [f"kernel_{word}" for word in ("initializer", "regularizer", "constraint")]
    if entry.kind.startswith("Depthwise"):
        keys.append("filters")
    found = [entry.config.pop(key, "absent") != "absent" for key in keys]
    return any(found)


@upgrade(
    "the noise_shape of a spatial dropout, which follows from the layer's kind",
    "tf-keras 2.15: layers/regularization/spatial_dropout1d.py",
    kinds=("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
)
def spatial_noise_shape(entry: Entry) -> bool:
    return entry.drop("noise_shape", None)


@upgrade(
    "the trainable flag of layers without weights, where Keras 3 takes none",
    "keras 3.0: layers/regularization/spatial_dropout.py, preprocessing/discretization.py",
    kinds=("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "Discretization"),
)
def trainable_without_weights(entry: Entry) -> bool:
    return entry.config.pop("trainable", "absent") != "absent"


@upgrade("how a random layer drew its numbers", "tf-keras 2.10: engine/base_layer.py, BaseRandomLayer")
def random_generators(entry: Entry) -> bool:
    return entry.config.pop("rng_type", "absent") != "absent"


@upgrade("a vocabulary's size beside the vocabulary", "tf-keras 2.8: layers/preprocessing/index_lookup.py")
def vocabulary_size(entry: Entry) -> bool:
    return entry.config.pop("vocabulary_size", "absent") != "absent"


@upgrade(
    "names of settings of the preprocessing layers while they were experimental",
    "tensorflow 2.3 to 2.5: keras/layers/preprocessing",
    kinds=("CategoryEncoding", "Discretization", "IntegerLookup", "StringLookup"),
    until=(2, 8),
)
def preprocessing_names(entry: Entry) -> bool:
    names = {
        "CategoryEncoding": {"max_tokens": "num_tokens"},
        "Discretization": {"bins": "bin_boundaries"},
        "IntegerLookup": {"max_values": "max_tokens", "mask_value": "mask_token", "num_oov_tokens": "num_oov_indices"},
    }
    found = rename(entry, names.get(entry.kind, {}))
    if entry.config.get("output_mode") == "binary":
        entry.config["output_mode"] = "multi_hot"
        found = True
    if entry.config.get("output_mode") == "tf-idf":
        entry.config["output_mode"] = "tf_idf"
        found = True
    return found


@upgrade(
    "shapes that a MultiHeadAttention was built for, which follow from its inputs",
    "tf-keras 2.8: layers/attention/multi_head_attention.py",
    kinds=("MultiHeadAttention",),
)
def attention_shapes(entry: Entry) -> bool:
    found = [entry.config.pop(key, "absent") != "absent" for key in ("query_shape", "key_shape", "value_shape")]
    return any([*found, entry.drop("softmax_robust_masking", False)])


@upgrade(
    "an attention that looks at no later step, which is said in its calls now",
    "tensorflow 2.1 to keras 2.9: layers/dense_attention.py; use_causal_mask since keras 2.10",
    kinds=("Attention", "AdditiveAttention"),
)
def causal_attention(entry: Entry) -> bool:
    causal = entry.config.pop("causal", "absent")
    if causal is True:
        for node in entry.node.get("inbound_nodes") or []:
            node[0][3:] = [{**(node[0][3] if len(node[0]) > 3 else {}), "use_causal_mask": True}]
    return causal != "absent"


@upgrade(
    "an activity penalty that is off, of layers that have none",
    "keras 2.0 to 2.15: layers/embeddings.py, core/einsum_dense.py",
    kinds=("Embedding", "EinsumDense"),
)
def no_activity_regularizer(entry: Entry) -> bool:
    return "activity_regularizer" in entry.config and entry.config["activity_regularizer"] is None and _gone(entry)


def _gone(entry: Entry) -> bool:
    del entry.config["activity_regularizer"]
    return True
