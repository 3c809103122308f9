"""The user's code that a config wants and that was not given, told all at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bridge.keras_side import custom


@dataclass
class Missing:
    """What is missing, by its name, and where each is wanted."""

    wanted: dict[str, list[str]] = field(default_factory=dict)
    example: str = ""  # of the code that builds a model that is a class of its own

    def add(self, name: str, text: str) -> None:
        self.wanted.setdefault(name, []).append(text)

    def model(self, name: str, node: dict[str, Any]) -> None:
        """The model itself is of a class that is missing."""
        self.example = _example(name, node)

    def told(self, alone: bool) -> str:
        """All that is missing as one problem. alone: whether nothing else stands in the way."""
        known = f" The files given define {_some(sorted(custom.objects()))}." if custom.given() else ""
        advice = custom.ADVICE.format("it" if len(self.wanted) == 1 else "them")
        told = [texts[0] + (f" ({len(texts) - 1} more too)" if texts[1:] else "") for texts in self.wanted.values()]
        return f"{'; '.join(told)}.{known}\n{advice}{self.example if alone else ''}"


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
