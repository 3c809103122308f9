"""What the tests of the commands share: the pretrained network, converted once, and a way to type commands."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import cli
from bridge.errors import BridgeError, CheckFailed

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
