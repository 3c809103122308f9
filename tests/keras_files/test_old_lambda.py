"""Code of Lambda layers in old files: its Python is told from its bytes, and only this one's is run."""

import base64
import json
import marshal
import sys
from pathlib import Path

import h5py
import pytest

from bridge.errors import BridgeError
from bridge.keras_side.old.lambdas import marshalled, python_of, rewritten

# lambda x: x * 2, or like it, as other Pythons marshal it; up to its instructions
PYTHONS = {
    "2.7": b"c" + bytes([1, 0, 0, 0] * 4) + b"s\x08\x00\x00\x00|\x00\x00d\x01\x00\x14S",
    "3.0 to 3.7": b"\xe3" + bytes([1, 0, 0, 0] * 5) + b"s\x08\x00\x00\x00|\x00d\x01\x14\x00S\x00",
    "3.8 to 3.10": b"\xe3" + bytes([1, 0, 0, 0] * 6) + b"s\x08\x00\x00\x00|\x00d\x01\x14\x00S\x00",
    "3.11 or later, but another one than this": b"\xe3"
    + bytes([1, 0, 0, 0] * 5)
    + b"\xf3\x0a\x00\x00\x00\x97\x00|\x00\x00\x00\x00\x00S\x00",
}
OWN = "{}.{}".format(*sys.version_info)


@pytest.mark.parametrize("version", PYTHONS)
def test_the_python_of_old_code_is_told(version):
    assert python_of(PYTHONS[version]) == version
    text = base64.encodebytes(PYTHONS[version]).decode()
    _, problem = rewritten({"name": "twice", "function": [text, None, None], "function_type": "lambda"})
    assert problem == f"holds code of Python {version}; this is Python {OWN}"


@pytest.mark.parametrize(
    "function", [lambda x: x * 2, lambda x, y=(1, 2): [v[0] for v in (x, y)], lambda x: marshal.x(x)]
)
def test_this_pythons_code_is_known_in_both_ways_to_write_it(function):
    code = marshal.dumps(function.__code__)
    assert python_of(code) == OWN
    for text in (base64.encodebytes(code).decode(), code.decode("raw_unicode_escape")):
        assert marshalled(text) == code
    config, problem = rewritten({"name": "twice", "function": [text, None, None], "function_type": "lambda"})
    assert problem is None
    assert marshal.loads(base64.b64decode(config["function"]["config"]["code"])) == function.__code__


def test_what_is_no_code_is_told():
    assert python_of(b"") is None
    assert rewritten({"function": ["4wEA", None, None]})[1] == f"holds code of no known Python; this is Python {OWN}"
    assert "names the function 'f'" in rewritten({"function": "f", "function_type": "function"})[1]


def test_old_code_runs_with_unsafe_alone_and_only_this_pythons(keras, tmp_path):
    def file(name, code):
        path = tmp_path / name
        path.write_bytes((Path(__file__).parent / "old" / "recurrent.h5").read_bytes())
        with h5py.File(path, "r+") as opened:
            config = json.loads(opened.attrs["model_config"])
            text = base64.encodebytes(code).decode()
            own = {"name": "twice", "function": [text, None, None], "function_type": "lambda", "arguments": {}}
            layers = config["config"] if isinstance(config["config"], list) else config["config"]["layers"]
            layers.append({"class_name": "Lambda", "name": "twice", "config": own})
            if isinstance(config["config"], dict) and "output_layers" in config["config"]:
                layers[-1]["inbound_nodes"] = [[[*config["config"]["output_layers"][0], {}]]]
                config["config"]["output_layers"] = [["twice", 0, 0]]
            opened.attrs["model_config"] = json.dumps(config).encode()
        return path

    good = file("good.h5", marshal.dumps((lambda x: x * 2).__code__))
    with pytest.raises(BridgeError, match=r"'twice' \(Lambda\) carries code, which is not run"):
        keras("read", path=good)
    assert "twice" in keras("read", path=good, unsafe=True)["layers"]
    with pytest.raises(BridgeError, match=r"'twice' \(Lambda\) holds code of Python 3\.0 to 3\.7; this is Python"):
        keras("read", path=file("bad.h5", PYTHONS["3.0 to 3.7"]), unsafe=True)
