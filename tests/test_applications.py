"""The architecture families of keras.applications against Keras: every proof that other models pass."""

import checks
import pytest
from model_cases_applications import FAMILIES

pytestmark = pytest.mark.slow
every_family = pytest.mark.parametrize("case", FAMILIES.values(), ids=str)


@every_family
@pytest.mark.usefixtures("alone")  # whose process then works beside
def test_module_computes_what_keras_does(case, recorded):
    checks.outputs_agree(recorded(case), case.tolerance)


@every_family
def test_gradients_are_tensorflows(case, recorded):
    checks.gradients_round_as_kerass(recorded(case), case, "eval")


@pytest.mark.parametrize("case", [case for case in FAMILIES.values() if not case.random], ids=str)
def test_training_step_is_kerass(case, recorded):
    checks.gradients_round_as_kerass(recorded(case), case, "train")


@every_family
def test_onnx_computes_what_keras_does(case, recorded):
    checks.onnx_agrees(recorded(case), case.tolerance, reference=False)  # the reference evaluator takes minutes


@every_family
def test_weights_go_home_bit_for_bit(case, recorded):
    checks.weights_go_home(recorded(case))


@every_family
def test_model_py_alone_computes_the_same(case, recorded, ran_alone):
    for rows in (1, 5):
        for name, y in ran_alone(case, rows).items():
            checks.output_agrees(recorded(case), f"y{rows}/{name}", y, case.tolerance)
