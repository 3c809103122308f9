"""Models that keras.utils.multi_gpu_model made: each of several GPUs takes a slice of the batch."""

from __future__ import annotations

from typing import Any

from bridge.keras_side.old.dialect.table import Entry, upgrade
from bridge.keras_side.old.lambdas import marshalled

Node = dict[str, Any]
_MODELS = ("Sequential", "Functional", "Model")


@upgrade(
    "a model that multi_gpu_model spread over GPUs, as that model on the whole batch, of which statistics are too",
    "keras 2.0.9 to 2.3: utils/multi_gpu_utils.py; tensorflow 1.4 to 2.3: keras/utils/multi_gpu_utils.py",
    kinds=("Functional", "Model"),
    until=(2, 4),
    means=True,
)
def multi_gpu_model(entry: Entry) -> bool:
    layers = entry.config.get("layers")
    slices = {} if not isinstance(layers, list) else {n["name"]: n for n in layers if _is_slice(n)}
    if not slices:
        return False
    models = [n for n in layers if n["class_name"] in _MODELS and _taken(n) & set(slices)]
    merges = {n["name"]: n for n in layers if n["class_name"] == "Concatenate" and n["config"].get("axis") == 0}
    if len(models) != 1 or not _is_spread(models[0], slices, merges):
        return False  # the slices are code that is not run
    first = models[0]["inbound_nodes"][0]
    models[0]["inbound_nodes"] = [[slices[reference[0]]["inbound_nodes"][0][0] for reference in first]]
    ends = {name: node["inbound_nodes"][0][0] for name, node in merges.items()}
    layers[:] = [node for node in layers if node["name"] not in {**slices, **ends}]
    for node in layers:
        for call in node.get("inbound_nodes") or []:
            call[:] = [[*ends[r[0]][:3], *r[3:]] if r[0] in ends else r for r in call]
    outputs = entry.config.get("output_layers") or []
    entry.config["output_layers"] = [list(ends[r[0]][:3]) if r[0] in ends else r for r in outputs]
    return True


def _is_slice(node: Node) -> bool:
    """Whether it is a Lambda layer of the function get_slice, which says which part of how many; it is not run."""
    config = node["config"] if node["class_name"] == "Lambda" else {}
    given, code = config.get("arguments"), config.get("function")
    code = code[0] if isinstance(code, list) and code else code
    if not isinstance(given, dict) or set(given) != {"i", "parts"} or not isinstance(code, str):
        return False
    return b"get_slice" in marshalled(code) and len(node["inbound_nodes"]) == len(node["inbound_nodes"][0]) == 1


def _taken(node: Node) -> set[str]:
    """The layers that a layer's calls take from."""
    return {reference[0] for call in node.get("inbound_nodes") or [] for reference in call}


def _is_spread(model: Node, slices: dict[str, Node], merges: dict[str, Node]) -> bool:
    """Whether the model's first call takes the first slice of each input, and so on, and all results are put together
    in that order.
    """
    calls, parts = model["inbound_nodes"], {node["config"]["arguments"]["parts"] for node in slices.values()}
    if parts != {len(calls)} or _taken(model) != set(slices):
        return False
    sources = [slices[reference[0]]["inbound_nodes"][0][0][:3] for reference in calls[0]]
    for number, call in enumerate(calls):
        told = [slices[reference[0]] for reference in call]
        if any(node["config"]["arguments"]["i"] != number for node in told):
            return False
        if [node["inbound_nodes"][0][0][:3] for node in told] != sources:
            return False
    for node in merges.values():
        (call,) = node["inbound_nodes"]
        begin, output = call[0][1:3]
        if [reference[:3] for reference in call] != [[model["name"], begin + i, output] for i in range(len(calls))]:
            return False
    return bool(merges)
