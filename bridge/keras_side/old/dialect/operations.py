"""TensorFlow functions between layers, as tf.keras wrote them: those that compute, by name; all others are refused."""

from __future__ import annotations

import json
import re

from bridge.keras_side.old.dialect.gone import own
from bridge.keras_side.old.dialect.table import Entry, upgrade


def _words(text: str) -> list[str]:
    return text.split()


_ELEMENTWISE = _words(
    "abs acos acosh add add_n asin asinh atan atan2 atanh ceil cos cosh divide divide_no_nan equal erf exp "
    "expm1 floor floordiv floormod greater greater_equal less less_equal log log1p log_sigmoid logical_and "
    "logical_not logical_or maximum minimum mod multiply multiply_no_nan negative not_equal pow reciprocal "
    "round rsqrt scalar_mul sigmoid sign sin sinh softplus sqrt square squared_difference subtract tan tanh "
    "truediv xdivy"
)
_REDUCTIONS = _words(
    "argmax argmin cumsum cumprod l2_normalize reduce_all reduce_any reduce_logsumexp reduce_max reduce_mean "
    "reduce_min reduce_prod reduce_std reduce_sum reduce_variance reduce_euclidean_norm top_k"
)
_NN = _words(
    "bias_add conv1d conv2d depthwise_conv2d elu gelu l2_normalize leaky_relu log_softmax relu relu6 selu "
    "sigmoid silu softmax softmax_v2 softplus softsign swish tanh avg_pool avg_pool2d max_pool max_pool2d "
    "depth_to_space space_to_depth moments normalize"
)
_PLAIN = _words(
    "abs add add_n argmax argmin boolean_mask broadcast_to cast ceil clip_by_value concat cos cumsum einsum "
    "equal exp expand_dims eye fill floor gather gather_nd greater greater_equal identity less less_equal "
    "linspace logical_and logical_not logical_or matmul maximum minimum multiply negative norm not_equal "
    "one_hot ones ones_like pad pow range rank reduce_all reduce_any reduce_logsumexp reduce_max reduce_mean "
    "reduce_min reduce_prod reduce_sum repeat reshape reverse roll round scalar_mul shape sigmoid sign sin "
    "size slice split sqrt square squeeze stack stop_gradient strided_slice subtract tan tanh tensordot tile "
    "transpose truediv unstack where zeros zeros_like"
)
_OPERATORS = _words("add eq ge getitem gt le lt matmul mod mul ne neg pow radd rmul rsub rtruediv sub truediv")
_COMPAT = _words(
    "argmax argmin concat expand_dims gather reduce_max reduce_mean reduce_min reduce_prod reduce_sum reshape "
    "shape size squeeze transpose where zeros_like ones_like nn.softmax nn.log_softmax nn.relu "
    "math.log_softmax math.softmax to_float to_int32 depth_to_space space_to_depth"
)
_BACKEND = _words(
    "abs argmax argmin batch_dot cast clip concatenate cos dot elu equal exp expand_dims flatten batch_flatten "
    "greater greater_equal l2_normalize less less_equal log max maximum mean min minimum not_equal ones_like "
    "permute_dimensions pow prod relu repeat repeat_elements reshape reverse round sigmoid sign sin softmax "
    "softplus softsign sqrt square squeeze stack std stop_gradient sum switch tanh tile transpose var "
    "zeros_like"
)
FUNCTIONS = frozenset(
    [
        *(f"math.{name}" for name in (*_ELEMENTWISE, *_REDUCTIONS)),
        *(f"nn.{name}" for name in _NN),
        *_PLAIN,
        *(
            f"linalg.{name}"
            for name in ("matmul", "norm", "l2_normalize", "normalize", "matrix_transpose", "tensordot")
        ),
        *(f"__operators__.{name}" for name in _OPERATORS),
        *(f"compat.v1.{name}" for name in _COMPAT),
        *(f"keras.backend.{name}" for name in _BACKEND),
        *(
            f"keras.activations.{name}"
            for name in ("relu", "elu", "selu", "gelu", "sigmoid", "softmax", "swish", "tanh")
        ),
        *("signal.frame", "image.resize", "image.rgb_to_grayscale", "image.per_image_standardization"),
        *("image.crop_to_bounding_box", "image.pad_to_bounding_box", "dtypes.cast"),
    ]
)
RAW = frozenset(
    _words(
        "Abs Add AddN AddV2 All Any ArgMax ArgMin AvgPool BatchMatMul BatchMatMulV2 BiasAdd BroadcastTo Cast Ceil "
        "ConcatV2 Conv2D Cos Cumsum DepthToSpace Div DivNoNan Elu Equal Erf Exp ExpandDims Fill Floor FloorDiv "
        "FloorMod GatherV2 Greater GreaterEqual Identity LeakyRelu Less LessEqual Log Log1p LogSoftmax LogicalAnd "
        "LogicalNot LogicalOr MatMul Max MaxPool Maximum Mean Min Minimum MirrorPad Mul Neg NotEqual OneHot "
        "OnesLike Pack Pad PadV2 Pow Prod RealDiv Reciprocal Relu Relu6 Reshape ResizeBilinear "
        "ResizeNearestNeighbor ReverseV2 Round Rsqrt Select SelectV2 Selu Shape Sigmoid Sign Sin Softmax Softplus "
        "Softsign SpaceToDepth Split SquaredDifference Square Squeeze Sqrt StopGradient StridedSlice Sub Sum Tan "
        "Tanh Tile Transpose Unpack ZerosLike"
    )
)


@upgrade(
    "TensorFlow functions between layers as layers of bridge's own, which call the same functions",
    "tensorflow 2.4 to tf-keras 2.15: layers/core/tf_op_layer.py; gone in keras 3.0",
    kinds=("TFOpLambda", "SlicingOpLambda"),
)
def functions_between_layers(entry: Entry) -> bool:
    function = entry.config.get("function")
    if function not in FUNCTIONS:
        entry.refuse(f"calls TensorFlow's {function!r}, which is not one of the functions that bridge knows.")
        return False
    entry.kind = "TFOpLambda"
    entry.node["config"] = {"name": entry.name, "function": function}
    own(entry)
    return True


@upgrade(
    "TensorFlow operators between layers as layers of bridge's own, which run the same operators",
    "tensorflow 1.13 to 2.3: keras/engine/base_layer.py, TensorFlowOpLayer",
    kinds=("TensorFlowOpLayer",),
)
def operators_between_layers(entry: Entry) -> bool:
    text = entry.config.get("node_def")
    operator = operator_of(text) if isinstance(text, str) else None
    if operator not in RAW:
        entry.refuse(f"runs TensorFlow's operator {operator!r}, which is not one of those that bridge knows.")
        return False
    constants = entry.config.get("constants") or {}
    name = entry.config.get("name")
    entry.node["config"] = {"name": name, "node_def": text, "constants": constants}
    own(entry)
    return True


def operator_of(node_def: str) -> str | None:
    """The operator that a TensorFlow node is, from JSON or protobuf's text form."""
    try:
        found = json.loads(node_def).get("op")
    except (ValueError, AttributeError, RecursionError):
        matched = re.search(r'^\s*op:\s*"(\w+)"(?!\s*["\'])', node_def, re.MULTILINE)  # strings side by side are one
        found = matched[1] if matched else None
    return found if isinstance(found, str) else None


@upgrade(
    "methods of TensorFlow's own classes between layers",
    "tf-keras 2.15: layers/core/tf_op_layer.py; gone in keras 3.0",
    kinds=("ClassMethod", "InstanceMethod", "InstanceProperty"),
)
def methods_between_layers(entry: Entry) -> bool:
    config = entry.config
    symbol = config.get("cls_symbol") or config.get("cls_ref")
    word = config.get("method_name") or config.get("attr_name")
    entry.refuse(f"takes {word!r} of TensorFlow's class {symbol!r} (ragged or sparse tensors), which has no equal.")
    return False
