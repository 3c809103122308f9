"""README's commands run, its Python runs, and its tables are complete."""

import importlib
import inspect
import re
import shlex
import shutil
from pathlib import Path

import pytest

from bridge import api
from bridge.cli import COMMANDS

from .conftest import MODELS

README = (Path(__file__).parents[2] / "README.md").read_text()
TYPED = [
    shlex.split(line.removeprefix("$ bridge "))
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ bridge ")
]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder like a fresh clone: the models and nothing else."""
    shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_run_in_their_order(bridge, clone):
    assert len(TYPED) >= 6
    for words in TYPED:
        result = bridge(*words)
        assert result.code == 0, (words, result.err)


def test_what_the_first_commands_print_is_in_readme(bridge, clone):
    """Numbers of training and rounding differ between machines; words and shapes don't."""
    result = bridge(*TYPED[0])
    shown = [line.strip() for line in README.splitlines()]
    for line in result.out.splitlines():
        if line.strip() and "On random inputs" not in line:
            assert line.strip() in shown, line
    source = (clone / "out" / "model.py").read_text()
    assert source[source.index("class Pretrained") : source.index("\n\n\ndef load")] in README


def test_the_python_runs(clone):
    code = re.search(r"```python\n(import bridge.*?)```", README, re.DOTALL)[1]
    exec(compile(code, "README.md", "exec"), {})


def test_every_command_has_its_line():
    for name in COMMANDS:
        assert f"| `bridge {name} " in README or f"| `bridge {name}`" in README, name


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("keras2torch", "bridge.convert:keras2torch"),
        ("finetune", "bridge.torch_side.training.finetune:finetune"),
        ("evaluate", "bridge.runtime:evaluate"),
        ("parity", "bridge.parity:compare"),
    ],
)
def test_help_tells_of_every_option(name, place):
    module, _, real = place.partition(":")
    told = f"{getattr(api, name).__doc__} {inspect.signature(getattr(api, name))}"
    options = inspect.signature(getattr(importlib.import_module(module), real)).parameters
    assert not [option for option in options if not re.search(rf"\b{option}\b", told)]
