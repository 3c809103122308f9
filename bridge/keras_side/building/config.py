"""Model configs (the JSON in a file) made safe for Keras: built-in classes only, named by us, nothing that runs.

Keras imports modules and resolves classes by names that it finds in a config. `prepare` returns a copy in which every
such name was looked up here and written anew, so that a file cannot choose what is imported.
"""

from __future__ import annotations

import functools
import inspect
import json
from dataclasses import dataclass, field
from typing import Any

import keras
from keras.src.activations import ALL_OBJECTS_DICT
from keras.src.backend.common.dtypes import ALLOWED_DTYPES

from bridge.errors import BridgeError
from bridge.graph.bodies.applications import APPLICATIONS
from bridge.graph.refused import FEATURES, QUANTIZED, REASONS
from bridge.keras_side import custom
from bridge.keras_side.old import dialect
from bridge.keras_side.old import lambdas as old_lambda
from bridge.keras_side.old import layers as old_layers
from bridge.keras_side.old.dialect import keras0

DEPTH_LIMIT = 100
SHOWN = 6  # problems in one message
PASS_ARCH = "Pass the code that builds the model: --arch FILE.py:function"
_CODE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer"}
_FILES = {"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"}  # would read a file that a config names
_MODELS = {
    "Functional": "keras.src.models.functional",
    "Model": "keras.src.models.functional",
    "Sequential": "keras.models",
}
_DATA = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
_BASE = {"name", "trainable", "dtype", "activity_regularizer", "autocast"}
_REFUSED_BY_DIALECT = {
    *("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer", "ClassMethod", "InstanceMethod", "InstanceProperty"),
    "Merge",
}
_OPERATIONS = ("numpy", "nn", "math", "core", "image", "linalg")


def parse(text: bytes | str, origin: str) -> dict[str, Any]:
    """JSON that holds a model's config. Raises BridgeError if it is no JSON or no config."""
    config = _json(text, origin)
    if keras0.is_keras0(config):
        config = keras0.as_keras1(config)
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str) or "config" not in config:
        raise BridgeError(
            f"{origin}: is not a model's config (no class_name and config). Write it with model.to_json()."
        )
    return config


def parse_metadata(text: bytes, origin: str) -> dict[str, Any]:
    """The JSON object that stands beside a config."""
    metadata = _json(text, origin)
    if not isinstance(metadata, dict):
        raise BridgeError(f"{origin}: is not a JSON object.")
    return metadata


def _json(text: bytes | str, origin: str) -> Any:
    try:
        if not isinstance(text, str | bytes):
            raise ValueError(f"it is a {type(text).__name__}")
        return json.loads(text)
    except RecursionError:
        raise BridgeError(f"{origin}: is nested too deeply to be a model's config.") from None
    except ValueError as error:
        raise BridgeError(f"{origin}: is not valid JSON ({error}).") from None


def version_of(config: dict[str, Any], stated: str | None = None) -> str:
    """The Keras version that wrote a config: as stated, else as told by its dialect."""
    version = stated or config.get("keras_version")
    if isinstance(version, str):
        return version
    return "3" if "module" in config else "2"


@dataclass(frozen=True)
class Examined:
    """A config as Keras may read it, unless there are problems. upgrades: what an older dialect made necessary."""

    config: dict[str, Any]
    problems: list[str]
    upgrades: dialect.Upgraded | None = None


def prepare(config: dict[str, Any], origin: str, version: str, unsafe: bool = False, backend: str = "") -> Examined:
    """The config as Keras may read it. Raises BridgeError with everything that can't be read, by layer name."""
    found = examine(config, origin, version, unsafe, backend)
    if found.problems:
        raise BridgeError(found.problems[0] if len(found.problems) == 1 else _together(found.problems, origin))
    return found


def _together(problems: list[str], origin: str) -> str:
    """Several problems as one message: what is the matter, then what to do."""
    said = [problem.removeprefix(f"{origin}: ").split("\n") for problem in problems]
    what = [lines[0].removesuffix(".") for lines in said]
    ways = list(dict.fromkeys(way for lines in said for way in lines[1:]))
    more = f" (and {len(what) - SHOWN} more; bridge inspect lists them)" if len(what) > SHOWN else ""
    return "\n".join([f"{origin}: {'; '.join(what[:SHOWN])}{more}.", *ways])


def examine(config: dict[str, Any], origin: str, version: str, unsafe: bool = False, backend: str = "") -> Examined:
    """The config as Keras may read it, and everything in it that is refused (then the config is not to be used)."""
    major = version.split(".")[0]
    if major not in ("0", "1", "2", "3"):
        return Examined(config, [f"{origin}: was written by Keras {version}, which bridge does not know."])
    upgrades = None
    if major != "3":
        upgrades = dialect.upgraded(config, dialect.Writer(version, backend or "tensorflow"))
        config = upgrades.config
    reader = _Reader(origin, is_old=major != "3", unsafe=unsafe)
    prepared = reader.node(config, "layers", "the model", 0)
    found = [*reader.problems, *reader.lacking()]
    problems = [f"{origin}: {text}" for text in upgrades.problems] if upgrades else []
    return Examined(prepared, [*problems, *(text for text in found if text not in problems)], upgrades)


@dataclass
class _Reader:
    origin: str
    is_old: bool
    unsafe: bool
    problems: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)  # custom names that are not given: where each is
    example: str = ""  # of the code that builds a model that is a class of its own

    def lacking(self) -> list[str]:
        """One problem of all the user's code that is missing."""
        if not self.missing:
            return []
        known = f" The files given define {_some(sorted(custom.objects()))}." if custom.given() else ""
        advice = custom.ADVICE.format("it" if len(self.missing) == 1 else "them")
        told = [texts[0] + (f" ({len(texts) - 1} more too)" if texts[1:] else "") for texts in self.missing.values()]
        return [f"{self.origin}: {'; '.join(told)}.{known}\n{advice}{'' if self.problems else self.example}"]

    def lacks(self, name: str, text: str) -> None:
        self.missing.setdefault(name, []).append(text)

    def problem(self, text: str) -> None:
        if f"{self.origin}: {text}" not in self.problems:
            self.problems.append(f"{self.origin}: {text}")

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
        if isinstance(value, str) and key.endswith("activation") and value not in activations():
            if (found := custom.named(value)) is not None:  # older files write the name alone
                return _custom("function", found, found)
            self.lacks(value, f"{layer} has the custom activation {value!r}")
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
        kind = _kind(node, key)
        module = _module(name, kind, node)
        if module is None or (bare and module != old_layers.__name__):
            own = custom.named(node.get("registered_name"), name)
            if own is not None:
                inner = f"layer {_name(node)!r}" if depth and _name(node) else layer
                if isinstance(config, dict):
                    config = self.value(config, "config", inner, depth + 1)
                config = _with_name(config if config is not None else {}, node, own)
                return _custom(name, own, config) | _besides(self, node, inner, depth)
        if module is None:
            self.unknown(name, node, layer)
            return node
        if kind == "layers":
            layer = f"layer {_name(node)!r}" if depth and _name(node) else layer
            if name in _CODE:
                return self.code(node, layer, depth)
            if name in _FILES and isinstance(config, dict) and isinstance(config.get("vocabulary"), str):
                self.problem(f"{layer} ({name}) names a vocabulary file, which is not read. Give the layer a list.")
            if self.is_old:
                self.settings(name, config, layer, _own(name, node))
        if name == "Policy":
            name = "DTypePolicy"
        return {
            "module": module,
            "class_name": "Functional" if name == "Model" else name,
            "config": self.value(config or {}, "config", layer, depth + 1),
            "registered_name": _registered(name, module) or (name if kind == "operations" else None),
            **_besides(self, node, layer, depth),
        }

    def settings(self, name: str, config: Any, layer: str, own: bool) -> None:
        """Refuses what an upgraded config holds that Keras 3 would stumble over."""
        kind = old_layers.OWN[name] if own else getattr(keras.layers, name, None)
        if not isinstance(config, dict | None):
            self.problem(f"{layer} ({name}) has no config of its own.")
        if name in _MODELS or kind is None or not isinstance(config, dict):
            return
        known = _BASE | {word for base in kind.__mro__ for word in inspect.signature(base.__init__).parameters}
        for key in sorted(set(config) - known):
            self.problem(f"{layer} ({name}) has the setting {key!r}, which Keras 3 does not know.")

    def code(self, node: dict[str, Any], layer: str, depth: int) -> Any:
        where = f"layer {_name(node)!r}" if depth and node["class_name"] != "__lambda__" else layer
        if not self.unsafe or node["class_name"] not in ("Lambda", "__lambda__"):
            self.problem(
                f"{where} ({node['class_name'].strip('_')}) carries code, which is not run.\n{PASS_ARCH}"
                + (", or trust the file with --unsafe" if node["class_name"] in ("Lambda", "__lambda__") else "")
            )
            return node
        module = {"module": "keras.layers"} if node["class_name"] == "Lambda" else {}
        if self.is_old and node["class_name"] == "Lambda" and isinstance(node.get("config"), dict):
            config, problem = old_lambda.rewritten(node["config"])
            if problem is not None:
                self.problem(f"{where} (Lambda) {problem}.\n{PASS_ARCH}")
            node = {**node, "config": config}
        return {k: v for k, v in node.items() if k != "compile_config"} | module

    def function(self, node: dict[str, Any], key: str, layer: str) -> Any:
        name = node.get("config")
        if key.endswith("activation") and isinstance(name, str) and name in activations():
            return name
        if key.endswith("activation") and name == f"bridge>{old_layers.hard_sigmoid_of_keras2.__name__}":
            return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}
        if (found := custom.named(node.get("registered_name"), name)) is not None:
            return _custom("function", found, found)
        self.lacks(str(name), f"{layer} has the custom function {str(name)!r}")
        return node

    def unknown(self, name: str, node: dict[str, Any], layer: str) -> None:
        where = f"layer {_name(node)!r}" if isinstance(_name(node), str) else layer
        if self.is_old and name in _REFUSED_BY_DIALECT:
            return  # with its own reason
        quantized = name.removesuffix("QuantizationConfig")
        if name in REASONS:
            self.problem(f"{where} ({name}): {REASONS[name]}.")
        elif quantized != name and node.get("module") == "keras.quantizers":
            self.problem(f"{where}: {QUANTIZED.format(quantized.lower())}.")
        else:
            registered = node.get("registered_name")
            if layer == "the model":
                self.example = _example(name, node)
            self.lacks(name, f"{where} has the custom class {registered if isinstance(registered, str) else name!r}")


def _example(name: str, node: dict[str, Any]) -> str:
    """A line of code that builds a subclassed model, as far as its config tells how; "" where it can't be one."""
    built, config = node.get("build_config"), node.get("config")
    options = config if isinstance(config, dict) else {}
    if not all(isinstance(key, str) and key.isidentifier() for key in (name, *options)):
        return ""
    plain = {k: v for k, v in options.items() if isinstance(v, int | float | str | bool)}
    given = ", ".join(f"{k}={v!r}" for k, v in plain.items() if k not in ("name", "trainable", "dtype"))
    sizes = built.get("input_shape") if isinstance(built, dict) else None
    told = isinstance(sizes, list) and sizes and all(size is None or isinstance(size, int) for size in sizes)
    example = f"keras.ops.zeros({tuple(size or 1 for size in sizes)})" if told else "EXAMPLE_INPUT"
    return f", such as\ndef build(): model = {name}({given}); model({example}); return model"


def _some(names: list[str], shown: int = 12) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more if names else "nothing"


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


def _besides(reader: _Reader, node: dict[str, Any], layer: str, depth: int) -> dict[str, Any]:
    """What stands beside a node's config and is kept."""
    kept = {"name", "inbound_nodes", "build_config", "shared_object_id"}
    return {k: reader.value(v, k, layer, depth + 1) for k, v in node.items() if k in kept}


@functools.cache
def activations() -> frozenset[str]:
    """Names of all of Keras's activation functions."""
    return frozenset(name for name in ALL_OBJECTS_DICT if isinstance(name, str))  # older names such as swish are in it


@functools.cache
def _classes(kind: str) -> dict[str, str]:
    """Built-in classes of one kind: class name -> module that Keras is told to take it from."""
    if kind == "models":
        return _MODELS
    if kind == "operations":
        found = {}
        for part in _OPERATIONS:
            module = inspect.getmodule(getattr(__import__("keras.src.ops", fromlist=[part]), part))
            for name, item in vars(module).items():
                if inspect.isclass(item) and issubclass(item, keras.Operation) and item.__module__ == module.__name__:
                    found[name] = module.__name__
        return found
    return {name: f"keras.{kind}" for name, item in vars(getattr(keras, kind)).items() if inspect.isclass(item)}


def _kind(node: dict[str, Any], key: str) -> str:
    for ending, kind in (
        ("initializer", "initializers"),
        ("regularizer", "regularizers"),
        ("constraint", "constraints"),
    ):
        if key.endswith(ending):
            return kind
    if key in ("dtype", "dtype_policy") or node["class_name"] in ("DTypePolicy", "Policy"):
        return "dtype_policies"
    module, config = node.get("module"), node.get("config")
    if isinstance(module, str) and module.startswith("keras.src.ops."):
        return "operations"
    # Keras 3 writes x + y into legacy HDF5 files as an Add with nothing but a name, and then takes it for the layer
    if "inbound_nodes" in node and "module" not in node and isinstance(config, dict) and set(config) == {"name"}:
        return "operations"
    return "random" if node["class_name"] == "SeedGenerator" else "layers"


def _module(name: str, kind: str, node: dict[str, Any]) -> str | None:
    """The module of a built-in class, None for a custom one."""
    if kind == "layers" and _own(name, node):
        return old_layers.__name__
    stated, registered = node.get("module", "keras"), node.get("registered_name")
    if not isinstance(stated, str) or stated.split(".")[0] != "keras" or registered not in (None, name):
        return None
    if name == "Policy" and kind == "dtype_policies":
        name = "DTypePolicy"
    if kind == "layers" and name in _MODELS:
        return _MODELS[name]
    if kind == "layers" and stated in (APPLICATIONS.get(name), FEATURES.get(name)):
        return stated
    return _classes(kind).get(name)


def _own(name: Any, node: dict[str, Any]) -> bool:
    """Whether it is one of bridge's own stand-ins for what Keras 3 no longer has."""
    return isinstance(name, str) and name in old_layers.OWN and node.get("registered_name") == f"bridge>{name}"


def _registered(name: str, module: str) -> str | None:
    return f"bridge>{name}" if module == old_layers.__name__ else None


def _name(node: dict[str, Any]) -> Any:
    config = node.get("config")
    return node.get("name") or (config.get("name") if isinstance(config, dict) else None)
