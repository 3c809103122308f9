"""README's table of layers is what the rules make of the test cases."""

import importlib.util
import sys
from pathlib import Path

import pytest
from layer_cases import CASES

ROOT = Path(__file__).parents[1]


def tool():
    spec = importlib.util.spec_from_file_location("layer_table", ROOT / "tools" / "layer_table.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their own
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow  # it needs every case recorded
def test_readmes_table_is_what_rules_and_cases_give(recorded):
    layer_table, found = tool(), {}
    for case in CASES:
        recording = recorded(case)
        layer_table.observe(found, case, recording.proto, recording.graph)
    readme = (ROOT / "README.md").read_text()
    assert layer_table.in_readme(readme) == layer_table.table(found), "python tools/layer_table.py writes it anew"
