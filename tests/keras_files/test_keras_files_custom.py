"""`--custom FILE.py`: what the user's code defines is found by the names in the file, and by no other way."""

from pathlib import Path

import pytest

from bridge.errors import BridgeError

CODE = Path(__file__).with_name("custom_code.py")
ADVICE = "Pass the code that defines them: --custom FILE.py, or code that builds the model: --arch FILE.py:function"


@pytest.fixture(scope="module")
def saved(keras, tmp_path_factory):
    """case -> (folder with that model as .keras and .h5, what Keras said of it); each is made once."""
    cache = {}

    def one(case):
        if case not in cache:
            folder = tmp_path_factory.mktemp(case)
            cache[case] = folder, keras("make_custom", case=case, folder=folder, code=CODE)
        return cache[case]

    return one


@pytest.mark.parametrize(
    ("case", "file"),
    [  # a full .h5 does not say what a subclassed model takes
        ("layer_by_layer", "model.keras"),
        ("layer_by_layer", "model.h5"),
        ("wrapped", "model.keras"),
        ("wrapped", "model.h5"),
        ("subclassed", "model.keras"),
    ],
)
def test_custom_classes_load_and_go_home_bit_for_bit(keras, saved, tmp_path, case, file):
    folder, truth = saved(case)
    got = keras("read", path=folder / file, custom=[CODE])
    assert got["digests"] == truth["digests"]
    assert got["outputs"] in (truth["outputs"], None)
    assert not got["compiled"], "a custom loss stops no load"
    home = tmp_path / file.replace("model", "home")
    if (case, file) == ("wrapped", "model.h5"):  # Keras's own layout has no place for cells of one name
        with pytest.raises(BridgeError, match=r"Keras itself can't write .*two weights of one name"):
            keras("home_again", path=folder / file, to=home, custom=[CODE])
        return
    keras("home_again", path=folder / file, to=home, custom=[CODE])
    assert keras("read", path=home, custom=[CODE])["digests"] == truth["digests"]


def test_what_is_not_given_is_refused_all_at_once(keras, saved, refusal, tmp_path):
    path = saved("layer_by_layer")[0] / "model.keras"
    said = refusal("layer 'plain' has the custom class 'Plain'", path=path)
    for name in ("lib>Scale", "Plain", "lib>Start", "lib>wave", "bent", "lib>Pull", "lib>Box", "lib>Residual"):
        assert f"'{name}'" in said
    assert said.endswith(ADVICE)
    refusal(r", such as\ndef build\(\): model = Net\(width=5\); ", path=saved("subclassed")[0] / "model.keras")
    part = tmp_path / "part.py"
    part.write_text("import keras\n\n\nclass Plain(keras.layers.Layer): ...\n")
    (tmp_path / "by_module.py").write_text("import part\n")
    refusal("The files given define Plain", path=path, custom=[tmp_path / "by_module.py"])
    said = refusal("The files given define Plain", path=path, custom=[part])
    assert "'Plain'" not in said
    assert "'lib>Scale'" in said
    told = keras("describe", path=path)
    assert ADVICE in told["refusals"][0]
    assert not keras("describe", path=path, custom=[CODE])["refusals"]


def test_the_users_code_is_loaded_as_theirs_and_its_faults_are_told(saved, refusal, tmp_path):
    path = saved("layer_by_layer")[0] / "model.keras"
    (tmp_path / "broken.py").write_text("import keras\n1 / 0\n")
    refusal(
        r"broken.py: raised ZeroDivisionError: division by zero \(line 2\)", path=path, custom=[tmp_path / "broken.py"]
    )
    refusal(r"nowhere.py: no such file \(the custom code\)", path=path, custom=[tmp_path / "nowhere.py"])


def test_a_file_reaches_nothing_that_the_users_code_took_from_packages(saved, refusal, tmp_path):
    code = tmp_path / "taken.py"
    code.write_text("from os import system\nfrom subprocess import Popen\nfrom keras.layers import Lambda\n")
    said = refusal("custom", path=saved("layer_by_layer")[0] / "model.keras", custom=[code])
    assert "The files given define nothing" in said
