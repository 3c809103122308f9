"""The cases of the recurrent layers."""

from dataclasses import replace

from case import Case, config

STEPS = (4, 3)
ALONE, MASKED = ("sequences",), ("sequences", "mask")
EVERY = {"return_sequences": True}
AFTER = {"return_sequences": True, "return_state": True}
NO_EVALUATOR = "onnx's reference evaluator knows no activations, no lengths and no GRU without linear_before_reset here"


def case(kind, name, options, named=ALONE, shapes=(STEPS,), **more):
    return Case(kind, name, options, shapes=shapes, named=named, no_reference=NO_EVALUATOR, **more)


def states(kind):
    return ("state0", "state1") if kind == "LSTM" else ("state0",)


def common(kind, units=2):
    """The options that all three kinds have."""
    begin = states(kind)
    given = (STEPS, *[(units,)] * len(begin))
    masked = (STEPS, (4,), *[(units,)] * len(begin))
    own = {"units": units}
    every, after = {**own, "return_sequences": True}, {**own, "return_sequences": True, "return_state": True}
    return [
        case(kind, "plain", own),
        case(kind, "one_step", own, shapes=((1, 3),)),
        case(kind, "sequences", every),
        case(kind, "open_steps", every, shapes=((None, 3),)),
        case(kind, "state", {**own, "return_state": True}),
        case(kind, "sequences_state", after),
        case(kind, "initial_state", every, ("sequences", *begin), given),
        case(kind, "initial_state_state", after, ("sequences", *begin), given),
        case(kind, "backwards", {**own, "go_backwards": True}),
        case(kind, "backwards_sequences_state", {**after, "go_backwards": True}),
        case(kind, "no_bias", {**own, "use_bias": False}),
        case(kind, "unrolled", {**every, "unroll": True}),
        case(kind, "mask", own, MASKED, (STEPS, (4,))),
        case(kind, "mask_open_steps", every, MASKED, ((None, 3), (None,))),
        case(kind, "mask_unrolled", {**every, "unroll": True}, MASKED, (STEPS, (4,))),
        case(kind, "mask_zero_output", {**every, "zero_output_for_mask": True}, MASKED, (STEPS, (4,))),
        case(kind, "mask_zero_last", {**own, "zero_output_for_mask": True}, MASKED, (STEPS, (4,))),
        case(kind, "mask_backwards", {**after, "go_backwards": True}, MASKED, (STEPS, (4,))),
        case(kind, "mask_backwards_last", {**own, "go_backwards": True}, MASKED, (STEPS, (4,))),
        case(kind, "mask_initial_state", after, (*MASKED, *begin), masked),
        case(kind, "mask_zero_state", {**after, "zero_output_for_mask": True}, (*MASKED, *begin), masked),
        case(kind, "frozen", {**own, "trainable": False}),
        case(kind, "activity", {**after, "activity_regularizer": config("L1L2", l1=0.1, l2=0.2)}),
        case(
            kind,
            "regularized",
            {
                **own,
                "kernel_regularizer": config("L2", l2=0.3),
                "recurrent_regularizer": config("OrthogonalRegularizer", factor=0.2),
                "bias_regularizer": config("L1", l1=0.2),
                "kernel_constraint": config("MaxNorm", max_value=0.4, axis=0),
                "recurrent_constraint": config("UnitNorm", axis=1),
                "bias_constraint": config("NonNeg"),
            },
        ),
        case(kind, "dropout", {**every, "units": 3, "dropout": 0.4}, random=True),
        case(kind, "dropout_mask", {**every, "dropout": 0.0, "recurrent_dropout": 0.0}, MASKED, (STEPS, (4,))),
        case(kind, "recurrent_dropout", {**every, "units": 3, "recurrent_dropout": 0.4}, random=True),
        case(kind, "both_dropouts", {**every, "units": 3, "dropout": 0.3, "recurrent_dropout": 0.4}, random=True),
        *[case(kind, f"activation_{a}", {**own, "activation": a}) for a in ("relu", "linear", "softsign", "elu")],
    ]


def bidirectional(name, kind, options=None, named=ALONE, shapes=(STEPS,), merge="concat", back=None, **more):
    wrapped = {"layer": config(kind, units=2, **(options or {})), "merge_mode": merge}
    if back is not None:
        wrapped["backward_layer"] = config(back.pop("kind", kind), **{"go_backwards": True, **back})
    return case("Bidirectional", name, wrapped, named, shapes, **more)


CASES = [
    *[each for kind in ("LSTM", "GRU", "SimpleRNN") for each in common(kind)],
    case("LSTM", "hard_sigmoid", {"units": 2, "recurrent_activation": "hard_sigmoid"}),
    case("LSTM", "gelu_mask", {"units": 2, "activation": "gelu", **AFTER}, MASKED, (STEPS, (4,))),
    case("LSTM", "softmax", {"units": 2, "recurrent_activation": "softmax", "activation": "sparse_plus"}),
    case("GRU", "selu_mask", {"units": 2, "activation": "selu", **EVERY}, MASKED, (STEPS, (4,))),
    case("GRU", "silu", {"units": 2, "activation": "silu", "reset_after": False, "return_state": True}),
    case("GRU", "sparsemax_no_bias", {"units": 2, "recurrent_activation": "sparsemax", "use_bias": False, **EVERY}),
    case("SimpleRNN", "gelu", {"units": 2, "activation": "gelu", **EVERY}),
    case(
        "SimpleRNN", "mish_state", {"units": 2, "activation": "mish", **AFTER}, ("sequences", "state0"), (STEPS, (2,))
    ),
    case("LSTM", "no_forget_bias", {"units": 2, "unit_forget_bias": False}),
    case("GRU", "hard_sigmoid", {"units": 2, "recurrent_activation": "hard_sigmoid", "return_state": True}),
    case("GRU", "reset_before", {"units": 2, "reset_after": False, "return_sequences": True}),
    case("GRU", "reset_before_no_bias", {"units": 2, "reset_after": False, "use_bias": False}),
    case("GRU", "reset_before_mask", {"units": 2, "reset_after": False, **AFTER}, MASKED, (STEPS, (4,))),
    case("GRU", "reset_before_dropouts", {"units": 3, "reset_after": False, "dropout": 0.3, **EVERY}, random=True),
    *[
        each
        for kind in ("LSTM", "GRU", "SimpleRNN")
        for each in (
            bidirectional(f"{kind}", kind),
            bidirectional(f"{kind}_sequences", kind, EVERY),
            bidirectional(f"{kind}_state", kind, AFTER, shapes=((None, 3),)),
            bidirectional(f"{kind}_last_state", kind, {"return_state": True}),
            bidirectional(f"{kind}_mask", kind, None, MASKED, (STEPS, (4,))),
            bidirectional(f"{kind}_mask_sequences", kind, AFTER, MASKED, (STEPS, (4,))),
            bidirectional(
                f"{kind}_initial_state",
                kind,
                AFTER,
                ("sequences", *[f"state{i}" for i in range(2 * len(states(kind)))]),
                (STEPS, *[(2,)] * 2 * len(states(kind))),
            ),
            bidirectional(f"{kind}_no_bias", kind, {"use_bias": False}),
        )
    ],
    *[bidirectional(f"merge_{m}", "LSTM", EVERY, merge=m) for m in ("sum", "mul", "ave", None)],
    bidirectional("merge_none_state", "GRU", AFTER, merge=None),
    bidirectional("merge_sum_last", "GRU", merge="sum"),
    bidirectional(
        "merge_none_mask",
        "LSTM",
        None,
        MASKED,
        (STEPS, (4,)),
        merge=None,
        looser=(3e-6, "after the one kept step the output is small, and ONNX Runtime's sigmoid rounds at 1"),
    ),
    bidirectional("unequal_units", "LSTM", EVERY, back={"units": 3, **EVERY}),
    bidirectional("unequal_kinds", "LSTM", EVERY, back={"kind": "GRU", "units": 2, **EVERY}, merge="sum"),
    bidirectional("unequal_activations", "LSTM", back={"units": 2, "activation": "relu"}),
    bidirectional("unequal_mask", "LSTM", EVERY, MASKED, (STEPS, (4,)), back={"units": 3, **EVERY}),
    bidirectional("backwards_first", "GRU", {"go_backwards": True}, back={"units": 2, "go_backwards": False}),
    bidirectional("dropout", "LSTM", {**EVERY, "dropout": 0.4}, random=True),
    bidirectional("recurrent_dropout", "GRU", {**EVERY, "recurrent_dropout": 0.4}, random=True),
    bidirectional("activity", "LSTM", {**EVERY, "activity_regularizer": config("L2", l2=0.2)}),
]
_LSTM, _GRU, _RNN = config("LSTMCell", units=2), config("GRUCell", units=3), config("SimpleRNNCell", units=2)
_STACK = [_LSTM, _GRU, _RNN]
CASES += [
    *[case("RNN", cell["class_name"], {"cell": cell, **AFTER}) for cell in _STACK],
    case("RNN", "mask", {"cell": _LSTM, **AFTER}, MASKED, (STEPS, (4,))),
    case("RNN", "dropout", {"cell": config("GRUCell", units=3, dropout=0.4), **EVERY}, random=True),
    case("RNN", "backwards", {"cell": _GRU, "go_backwards": True}),
    case("RNN", "stacked", {"cell": _STACK}),
    case("RNN", "stacked_sequences", {"cell": _STACK, **EVERY}, shapes=((None, 3),)),
    case("RNN", "stacked_mask", {"cell": _STACK, **EVERY}, MASKED, (STEPS, (4,))),
    case("RNN", "stacked_unrolled_backwards", {"cell": _STACK, "unroll": True, "go_backwards": True}),
    bidirectional("stacked", "RNN", None),
]
_BOTH = {"layer": config("RNN", cell=[_LSTM, _GRU], **EVERY)}
CASES[-1] = replace(CASES[-1], options=_BOTH)
