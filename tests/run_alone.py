"""Runs every model.py below a folder with torch and safetensors alone: run_alone.py FOLDER.

FOLDER/<case>/ is a bridge folder; FOLDER/<case>.npz holds x1/ and x5/ inputs in order; y1/ and y5/ go to
FOLDER/<case>.out.npz.
"""

import importlib.util
import sys
from pathlib import Path

sys.modules["bridge"] = sys.modules["onnx"] = sys.modules["keras"] = None  # none of them can be imported from here on

import numpy as np  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)  # the other core is the Keras process's
for source in sorted(Path(sys.argv[1]).glob("*/model.py")):
    case = source.parent.name
    spec = importlib.util.spec_from_file_location(f"alone_{abs(hash(case))}", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.load()
    found = {}
    with np.load(f"{source.parent}.npz") as inputs, torch.no_grad():
        for rows in ("1", "5"):
            y = model(*[torch.from_numpy(inputs[name]) for name in inputs.files if name.startswith(f"x{rows}/")])
            named = y if isinstance(y, dict) else {"": y}
            found |= {f"y{rows}/{name}": value.numpy() for name, value in named.items()}
    np.savez(f"{source.parent}.out.npz", **found)
