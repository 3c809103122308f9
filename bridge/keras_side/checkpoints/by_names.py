"""Checkpoints of TensorFlow 1, whose variables have names alone: which are a model's, and which layer has which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bridge.keras_side.files.listing import natural
from bridge.keras_side.saved_model.checkpoint import Stored
from bridge.keras_side.saved_model.objects import Variable

_OPTIMIZERS = r"(?i:adam|adamax|nadam|adamw|sgd|rmsprop|adagrad|adadelta|ftrl|momentum)(_optimizer)?(_\d+)?"
# what Keras's optimizers and tf.train's keep that is of no variable
_OF_TRAINING = re.compile(
    rf"(training(_\d+)?|{_OPTIMIZERS})/.*|(.*/)?(beta\d_power(_\d+)?|global_step|save_counter|learning_rate)"
)


def layers(stored: Mapping[str, Stored]) -> dict[str, list[Variable]]:
    """The variables of each layer, by the first word of their names; layers as their numbers go."""
    keys = sorted((key for key in stored if key not in of_training(stored)), key=natural)
    names = {key: key.split("/") for key in keys if stored[key].dtype != "string"}
    while len(names) > 1 and len({words[0] for words in names.values()}) == 1 and min(map(len, names.values())) > 2:
        names = {key: words[1:] for key, words in names.items()}  # a scope round the whole model
    found: dict[str, list[Variable]] = {}
    for number, (key, words) in enumerate(names.items()):
        layer = words[0] if len(words) > 1 else "(the model's own)"
        found.setdefault(layer, []).append(Variable("/".join(words), key, stored[key], True, number))
    return found


def of_training(stored: Iterable[str]) -> set[str]:
    """The names of what an optimizer keeps: dense/kernel/Adam beside dense/kernel, counters, rates."""
    known = {*stored}
    return {key for key in known if _OF_TRAINING.fullmatch(key) or any(owner in known for owner in _owners(key))}


def _owners(key: str) -> list[str]:
    words = key.split("/")
    return ["/".join(words[:count]) for count in range(1, len(words))]
