"""Keras 1: layers and settings by the names that Keras 2.0 changed."""

from __future__ import annotations

from typing import Any

from bridge.keras_side.old.dialect.gone import own
from bridge.keras_side.old.dialect.table import Entry, Version, rename, upgrade

UNTIL: Version = (2,)
NOTES = "keras 2.0.0 release notes; legacy/interfaces.py"
_CLASSES = {
    **{f"Convolution{n}D": f"Conv{n}D" for n in (1, 2, 3)},
    **{f"AtrousConvolution{n}D": f"Conv{n}D" for n in (1, 2)},
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}
PADDED = ("Conv1D", "Conv2D", "Conv3D")  # those that bridge can pad as Theano did
_CONVOLUTIONS = (
    *("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "SeparableConv2D"),
    *("LocallyConnected1D", "LocallyConnected2D", "ConvLSTM2D"),
)
_RECURRENT = ("SimpleRNN", "GRU", "LSTM", "ConvLSTM2D")
FIRST = "1.0"  # the first releases of Keras 1 did not write their version into a config; 1.0.4 did
_WORDS = {"W_regularizer", "border_mode", "dim_ordering", "inner_init", "nb_filter", "output_dim"}
_INITIALIZERS = {"uniform": "random_uniform", "normal": "random_normal", "zero": "zeros", "one": "ones"}


def is_keras1(config: Any) -> bool:
    """Whether a config without a version has settings that only Keras 1 had."""
    if isinstance(config, list):
        return any(map(is_keras1, config))
    if not isinstance(config, dict):
        return False
    own = _WORDS & set(config) and "embeddings_initializer" not in config  # Embedding has output_dim still
    return bool(own) or any(map(is_keras1, config.values()))


@upgrade("classes by their names in Keras 1", NOTES, until=UNTIL)
def names_of_keras1_classes(entry: Entry) -> bool:
    if entry.kind not in _CLASSES:
        return False
    entry.kind = _CLASSES[entry.kind]
    return True


@upgrade("numbers of units, filters and the like by their names in Keras 1", NOTES, until=UNTIL)
def names_of_keras1_settings(entry: Entry) -> bool:
    kind = entry.kind
    names = {"bias": "use_bias", "W_regularizer": "kernel_regularizer", "W_constraint": "kernel_constraint"}
    names |= {"b_regularizer": "bias_regularizer", "b_constraint": "bias_constraint", "init": "kernel_initializer"}
    names |= {"U_regularizer": "recurrent_regularizer", "inner_init": "recurrent_initializer"}
    names |= {"inner_activation": "recurrent_activation", "dropout_W": "dropout", "dropout_U": "recurrent_dropout"}
    if kind == "Embedding":
        names |= {"init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer"}
        names |= {"W_constraint": "embeddings_constraint"}
    elif kind == "PReLU":
        names |= {"init": "alpha_initializer"}
    elif kind == "SeparableConv2D":
        names |= {"init": "depthwise_initializer"}
    else:
        names |= {"output_dim": "units"}
    if kind in ("Dropout", "GaussianDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"):
        names["p"] = "rate"
    if kind == "GaussianNoise":
        names["sigma"] = "stddev"
    if kind == "UpSampling1D":
        names["length"] = "size"
    if kind in _CONVOLUTIONS:
        names |= {"nb_filter": "filters", "atrous_rate": "dilation_rate"}
        names |= {"subsample": "strides", "subsample_length": "strides", "filter_length": "kernel_size"}
    if kind in ("MaxPooling1D", "AveragePooling1D"):
        names |= {"stride": "strides", "pool_length": "pool_size"}
    found = rename(entry, names)
    spare = ["consume_less", "forget_bias_init", "input_dim", "input_length"]
    if kind in _RECURRENT and "forget_bias_init" in entry.config:
        entry.config["unit_forget_bias"] = entry.config["forget_bias_init"] == "one"
    if kind == "Embedding":
        spare = []
    dropped = [entry.config.pop(key, "absent") != "absent" for key in spare]
    return found or any(dropped)


@upgrade("sizes of kernels in several settings", NOTES, until=UNTIL, kinds=_CONVOLUTIONS)
def keras1_kernel_sizes(entry: Entry) -> bool:
    for keys in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if all(key in entry.config for key in keys):
            entry.config["kernel_size"] = [entry.config.pop(key) for key in keys]
            return True
    return False


@upgrade("padding as border_mode", NOTES, until=UNTIL)
def keras1_border_mode(entry: Entry) -> bool:
    if "border_mode" not in entry.config:
        return False
    mode = entry.config.pop("border_mode")
    if mode not in ("valid", "same") and not (mode == "full" and entry.kind in PADDED):
        entry.refuse(f"pads its input in the way {mode!r}, which left Keras with version 2.0.")
    entry.config["padding"] = mode
    return True


@upgrade("the order of axes as dim_ordering", NOTES, until=UNTIL)
def keras1_dim_ordering(entry: Entry) -> bool:
    if "dim_ordering" not in entry.config:
        return False
    first = entry.config.pop("dim_ordering") == "th"
    entry.config["data_format"] = "channels_first" if first else "channels_last"
    return True


@upgrade(
    "kernels that lie in the file in the order of axes of Keras 1",
    "tf-keras 2.15: saving/legacy/hdf5_format.py, preprocess_weights_for_loading",
    until=UNTIL,
    kinds=("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D"),
)
def keras1_kernels(entry: Entry) -> bool:
    first = entry.config.get("data_format") == "channels_first"
    if entry.kind != "Conv1D" and not first and entry.kind != "Conv2DTranspose":
        return False
    suffix = "" if entry.kind == "Conv1D" else "_first" if first else "_last"
    entry.layouts[entry.owner] = f"keras1_{entry.kind}{suffix}"
    return True


@upgrade("initializers by their names in Keras 1", NOTES, until=UNTIL)
def keras1_initializers(entry: Entry) -> bool:
    found = False
    for key, value in entry.config.items():
        is_object = isinstance(value, dict) and "class_name" in value  # as Keras 2 writes them
        if key.endswith("_initializer") and not is_object and value in _INITIALIZERS:
            entry.config[key], found = _INITIALIZERS[value], True
    return found


@upgrade(
    "regularizers and constraints as Keras 1 wrote them", "keras 1.2: regularizers.py, constraints.py", until=UNTIL
)
def keras1_penalties(entry: Entry) -> bool:
    found = False
    for key, value in entry.config.items():
        if not key.endswith(("regularizer", "constraint")) or not isinstance(value, dict) or "name" not in value:
            continue
        made = _penalty(value)
        if made is None:
            entry.refuse(f"has the {key} {value['name']!r}, which left Keras with version 2.0.")
            continue
        entry.config[key], found = made, True
    return found


def _penalty(value: dict[str, Any]) -> dict[str, Any] | None:
    name = value["name"]
    if name in ("WeightRegularizer", "ActivityRegularizer", "L1L2Regularizer"):
        config = {key: float(value.get(key) or 0.0) for key in ("l1", "l2")}
        return {"class_name": "L1L2", "config": config}
    if name == "MaxNorm":
        return {"class_name": "MaxNorm", "config": {"max_value": value.get("m", 2), "axis": value.get("axis", 0)}}
    if name in ("NonNeg", "UnitNorm"):
        return {"class_name": name, "config": {"axis": value.get("axis", 0)} if name == "UnitNorm" else {}}
    return None


@upgrade(
    "a BatchNormalization that adds epsilon to the deviation",
    "keras 1.0.4 to 1.0.8: layers/normalization.py; backend/theano_backend.py, batch_normalization",
    until=(1, 0, 8),
    kinds=("BatchNormalization",),
    means=True,
)
def batch_normalization_by_deviations(entry: Entry) -> bool:
    """Before 1.0.6 it kept deviations; on Theano 1.0.6 did so too, and 1.0.7 had variances, but added it there."""
    version, mode = entry.writer.version, entry.config.get("mode", 0)
    if mode == 1 and version < (1, 0, 5):
        entry.kind = "SampleNormalization"
        entry.config["twice"] = False
    elif mode in (0, 2) and (version < (1, 0, 6) or entry.writer.backend == "theano"):
        entry.kind = "DeviationNormalization" if version < (1, 0, 7) else "RootNormalization"
        entry.config["by_batch"] = mode == 2
    else:
        return False
    entry.config.pop("mode", None)
    own(entry)
    return True


@upgrade(
    "modes of BatchNormalization: over each sample, and by the batch's own statistics in inference too",
    "keras 1.2.2: layers/normalization.py; gone in keras 2.0",
    until=UNTIL,
    kinds=("BatchNormalization",),
)
def keras1_batch_normalization(entry: Entry) -> bool:
    mode = entry.config.get("mode")
    if mode not in (1, 2):
        return entry.drop("mode", 0)
    del entry.config["mode"]
    entry.kind = "SampleNormalization" if mode == 1 else "BatchStatistics"
    own(entry)
    return True


@upgrade(
    "the size of its images as a setting of a Conv2DTranspose",
    "keras 1.2.2: layers/convolutional.py, Deconvolution2D",
    until=UNTIL,
    kinds=("Conv2DTranspose",),
    last=True,
)
def keras1_output_shape(entry: Entry) -> bool:
    """It follows from the others, or Keras 1 could not have run it; but with strides several sizes are possible."""
    shape = entry.config.pop("output_shape", None)
    steps = entry.config.get("strides")
    known = set(steps) == {1} if isinstance(steps, list) else True
    if entry.writer.backend == "theano" and entry.config.get("padding") == "same":
        known = False  # an even kernel makes images smaller there
    if not isinstance(shape, list) or len(shape) != 4 or known:
        return shape is not None
    entry.config["output_size"] = shape[2:] if entry.config.get("data_format") == "channels_first" else shape[1:3]
    own(entry)
    return True


@upgrade("an Embedding's own dropout", "keras 1.2.2: layers/embeddings.py, call", until=UNTIL, kinds=("Embedding",))
def keras1_embedding_dropout(entry: Entry) -> bool:
    if not entry.config.get("dropout"):
        return entry.config.pop("dropout", "absent") != "absent"
    entry.config.pop("input_length", None)
    entry.kind = "DroppingEmbedding"
    own(entry)
    return True
