"""The walk over a config that writes every name anew which Keras would import or resolve, and tells what it can't."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src.backend.common.dtypes import ALLOWED_DTYPES

from bridge.errors import BridgeError
from bridge.graph.refused import QUANTIZED, REASONS
from bridge.keras_side import custom
from bridge.keras_side.building import built_in
from bridge.keras_side.building.missing import Missing
from bridge.keras_side.old import lambdas as old_lambda
from bridge.keras_side.old import layers as old_layers

DEPTH_LIMIT = 100
PASS_ARCH = "Pass the code that builds the model: --arch FILE.py:function"
_CODE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer"}
_FILES = {"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"}  # would read a file that a config names
_DATA = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
_BASE = {"name", "trainable", "dtype", "activity_regularizer", "autocast"}
_REFUSED_BY_DIALECT = {
    *("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod", "InstanceMethod", "InstanceProperty"),
    "Merge",
}


@dataclass
class Reader:
    """origin: the file, as problems name it. is_old: whether the config is upgraded from Keras 2 or before."""

    origin: str
    is_old: bool
    unsafe: bool
    problems: list[str] = field(default_factory=list)
    missing: Missing = field(default_factory=Missing)

    def problem(self, text: str) -> None:
        if f"{self.origin}: {text}" not in self.problems:
            self.problems.append(f"{self.origin}: {text}")

    def all_problems(self) -> list[str]:
        """The problems, with all that is missing as one."""
        if not self.missing.wanted:
            return self.problems
        return [*self.problems, f"{self.origin}: {self.missing.told(alone=not self.problems)}"]

    def value(self, value: Any, key: str, layer: str, depth: int) -> Any:
        """Any part of a config. `key` is what it is called by, `layer` the layer it belongs to."""
        if depth > DEPTH_LIMIT:
            raise BridgeError(f"{self.origin}: is nested too deeply to be a model's config.")
        if isinstance(value, list):
            return [self.value(item, key, layer, depth + 1) for item in value]
        if isinstance(value, dict):
            if "class_name" in value:
                return self.node(value, key, layer, depth)
            return {name: self.value(item, name, layer, depth + 1) for name, item in value.items()}
        if isinstance(value, str) and key.endswith("activation") and value not in built_in.activations():
            if (found := custom.named(value)) is not None:  # older files write the name alone
                return _custom("function", found, found)
            self.missing.add(value, f"{layer} has the custom activation {value!r}")
        return value

    def node(self, node: dict[str, Any], key: str, layer: str, depth: int) -> Any:
        """A dict with a class_name: some object that Keras is to build."""
        name, config = node["class_name"], node.get("config")
        if not isinstance(name, str):
            raise BridgeError(f"{self.origin}: {layer} has a class_name that is not a name.")
        if name in ("__tuple__", "TensorShape"):
            return self.value(node.get("items", []), key, layer, depth + 1)
        if name in _DATA:
            dtype = config.get("dtype") if isinstance(config, dict) and name in ("__numpy__", "__tensor__") else None
            if dtype is not None and dtype not in ALLOWED_DTYPES:  # numpy would allocate for "U1000000"
                raise BridgeError(f"{self.origin}: {layer} has a constant of the type {dtype!r}, not of numbers.")
            return {"class_name": name, "config": self.value(config, key, layer, depth + 1)}
        if name in ("Lambda", "__lambda__"):
            return self.code(node, layer, depth)
        if name == "function":
            return self.function(node, key, layer)
        bare = "module" not in node
        if self.is_old:
            node = {"module": "keras", **node}  # what has none is Keras's own there, and no operation of Keras 3
        kind = built_in.kind_of(node, key)
        module = built_in.module_of(name, kind, node)
        if module is None or (bare and module != old_layers.__name__):
            own = custom.named(node.get("registered_name"), name)
            if own is not None:
                return self.own(node, own, layer, depth)
        if module is None:
            self.unknown(name, node, layer, depth)
            return node
        if kind == "layers":
            layer = f"layer {_name(node)!r}" if depth and _name(node) else layer
            if name in _CODE:
                return self.code(node, layer, depth)
            if name in _FILES and isinstance(config, dict) and isinstance(config.get("vocabulary"), str):
                self.problem(f"{layer} ({name}) names a vocabulary file, which is not read. Give the layer a list.")
            if self.is_old:
                self.settings(name, config, layer, built_in.is_stand_in(name, node))
        if name == "Policy":
            name = "DTypePolicy"
        return {
            "module": module,
            "class_name": "Functional" if name == "Model" else name,
            "config": self.value(config or {}, "config", layer, depth + 1),
            "registered_name": built_in.registered_name(name, module) or (name if kind == "operations" else None),
            **self.besides(node, layer, depth),
        }

    def own(self, node: dict[str, Any], own: str, layer: str, depth: int) -> dict[str, Any]:
        """An object of the user's class that has this name."""
        layer = f"layer {_name(node)!r}" if depth and _name(node) else layer
        config = node.get("config")
        if isinstance(config, dict):
            config = self.value(config, "config", layer, depth + 1)
        config = _with_name(config if config is not None else {}, node, own)
        return _custom(node["class_name"], own, config) | self.besides(node, layer, depth)

    def besides(self, node: dict[str, Any], layer: str, depth: int) -> dict[str, Any]:
        """What stands beside a node's config and is kept."""
        kept = {"name", "inbound_nodes", "build_config", "shared_object_id"}
        return {k: self.value(v, k, layer, depth + 1) for k, v in node.items() if k in kept}

    def settings(self, name: str, config: Any, layer: str, own: bool) -> None:
        """Refuses what an upgraded config holds that Keras 3 would stumble over."""
        kind = old_layers.OWN[name] if own else getattr(keras.layers, name, None)
        if not isinstance(config, dict | None):
            self.problem(f"{layer} ({name}) has no config of its own.")
        if name in built_in.MODELS or kind is None or not isinstance(config, dict):
            return
        known = _BASE | {word for base in kind.__mro__ for word in inspect.signature(base.__init__).parameters}
        for key in sorted(set(config) - known):
            self.problem(f"{layer} ({name}) has the setting {key!r}, which Keras 3 does not know.")

    def code(self, node: dict[str, Any], layer: str, depth: int) -> Any:
        where = f"layer {_name(node)!r}" if depth and node["class_name"] != "__lambda__" else layer
        config, problem = node.get("config"), None
        if self.is_old and node["class_name"] == "Lambda" and isinstance(config, dict):
            config, problem = old_lambda.rewritten(config)
        if problem is not None:
            why = (
                problem if self.unsafe else f"carries code, which is not run; --unsafe would not help, for it {problem}"
            )
            self.problem(f"{where} (Lambda) {why}.\n{PASS_ARCH}")
            return node
        if not self.unsafe or node["class_name"] not in ("Lambda", "__lambda__"):
            self.problem(
                f"{where} ({node['class_name'].strip('_')}) carries code, which is not run.\n{PASS_ARCH}"
                + (", or trust the file with --unsafe" if node["class_name"] in ("Lambda", "__lambda__") else "")
            )
            return node
        module = {"module": "keras.layers"} if node["class_name"] == "Lambda" else {}
        node = {**node, "config": config} if "config" in node else node
        return {k: v for k, v in node.items() if k != "compile_config"} | module

    def function(self, node: dict[str, Any], key: str, layer: str) -> Any:
        name = node.get("config")
        if key.endswith("activation") and isinstance(name, str) and name in built_in.activations():
            return name
        if key.endswith("activation") and name == f"bridge>{old_layers.hard_sigmoid_of_keras2.__name__}":
            return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
        if (found := custom.named(node.get("registered_name"), name)) is not None:
            return _custom("function", found, found)
        self.missing.add(str(name), f"{layer} has the custom function {str(name)!r}")
        return node

    def unknown(self, name: str, node: dict[str, Any], layer: str, depth: int) -> None:
        where = f"layer {_name(node)!r}" if isinstance(_name(node), str) else layer
        if self.is_old and name in _REFUSED_BY_DIALECT:
            return  # with its own reason
        quantized = name.removesuffix("QuantizationConfig")
        if name in REASONS:
            self.problem(f"{where} ({name}): {REASONS[name]}.")
        elif quantized != name and node.get("module") == "keras.quantizers":
            self.problem(f"{where}: {QUANTIZED.format(quantized.lower())}.")
        else:
            if not depth:
                self.missing.model(name, node)
            registered = node.get("registered_name")
            known_as = registered if isinstance(registered, str) else name
            self.missing.add(name, f"{where} has the custom class {known_as!r}")


def _custom(kind: str, name: str, config: Any) -> dict[str, Any]:
    """What makes Keras take the user's class or function of this name (see custom.objects), whatever the file says."""
    return {"module": None, "class_name": kind, "config": config, "registered_name": name}


def _with_name(config: Any, node: dict[str, Any], own: str) -> Any:
    """The config with the layer's name, which Keras leaves out where `__init__` has no `name` and no `kwargs`."""
    made = custom.objects()[own]
    if not isinstance(config, dict) or "name" in config or not isinstance(node.get("name"), str):
        return config
    taken = inspect.signature(made.__init__).parameters.values() if inspect.isclass(made) else ()
    takes = any(p.name == "name" or p.kind is p.VAR_KEYWORD for p in taken)
    return {**config, "name": node["name"]} if takes else config


def _name(node: dict[str, Any]) -> Any:
    config = node.get("config")
    return node.get("name") or (config.get("name") if isinstance(config, dict) else None)
