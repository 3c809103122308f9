"""What the tests of the commands share: a way to type them, and two networks, each converted once."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from parity_files import write_h5

from bridge.cli import cli
from bridge.errors import BridgeError, CheckFailed

from .rules_files import GATE, LAYERS, RULES

MODELS = Path(__file__).parents[2] / "models"
PRETRAINED = MODELS / "pretrained_model.h5"
ARCH = f"{MODELS / 'mnist_mlp.py'}:build"


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def bridge():
    """Runs `bridge WORDS...` in this process, as the command line would; gives its exit code and what it printed."""

    def run(*words):
        result = CliRunner(env={"COLUMNS": "100"}).invoke(cli, [str(word) for word in words])
        error = result.exception
        if isinstance(error, BridgeError | CheckFailed):
            return Result(error.exit_code, result.stdout, str(error))
        if error is not None and not isinstance(error, SystemExit):
            raise error
        return Result(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def converted(bridge, tmp_path_factory):
    """The bridge folder of models/pretrained_model.h5."""
    folder = tmp_path_factory.mktemp("converted") / "mlp"
    result = bridge("convert", "keras2torch", PRETRAINED, "--arch", ARCH, "-o", folder)
    assert result.code == 0, result.err
    return folder


@pytest.fixture(scope="session")
def ruled(bridge, tmp_path_factory):
    """A folder with the files of a user who has rules, a Keras file, and out, the bridge folder that came from it."""
    folder = tmp_path_factory.mktemp("rules")
    for name, text in (("layers.py", LAYERS), ("rules.py", RULES), ("gate_module.py", GATE)):
        (folder / name).write_text(text)
    scaled = {"kernel": (8, 16), "scale": (16,), "bias": (16,)}
    shapes = {"scaled": scaled, "gate": {"mean": (16,), "inner/kernel": (16, 16), "inner/bias": (16,)}}
    square = scaled | {"kernel": (16, 16)}
    shapes |= {"twice": square, "repeated": {f"inner/{word}": shape for word, shape in square.items()}}
    shapes |= {"head": {"kernel": (16, 3), "bias": (3,)}}
    write_h5(folder / "w.h5", shapes)
    how = ("--arch", f"{folder / 'layers.py'}:build", "--rules", folder / "rules.py")
    result = bridge("convert", "keras2torch", folder / "w.h5", *how, "-o", folder / "first")
    assert result.code == 0, result.err
    how = ("--custom", folder / "layers.py", "--rules", folder / "rules.py")
    for words in (
        ("torch2keras", folder / "first", *how, "-o", folder / "mine.keras"),
        ("keras2torch", folder / "mine.keras", *how, "-o", folder / "out"),
    ):
        result = bridge("convert", *words)
        assert result.code == 0, result.err
    return folder
