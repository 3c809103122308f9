"""Makes models/pretrained_model.h5: the tutorial MLP trained by Keras on Fashion-MNIST, weights only, legacy layout.

    python tools/make_pretrained.py

Fashion-MNIST comes from Debian's package dataset-fashion-mnist, the Keras cache, or a download. Ten epochs of 1,875
steps, batch 32, end at a test accuracy of about 0.87.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

import keras  # noqa: E402
from mnist_mlp import build  # noqa: E402

from bridge.data import class_labels, fit_to, read  # noqa: E402
from bridge.files import whole_file  # noqa: E402
from bridge.keras_side.files.write import write  # noqa: E402


def main() -> None:
    keras.utils.set_random_seed(0)
    model = build()
    arrays = {}
    for part in ("train", "test"):
        data = read("fashion_mnist", part=part)
        arrays[part] = fit_to(data, {"x": (784,)}, scale=255)["x"], class_labels(data, 10)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*arrays["train"], batch_size=32, epochs=10, verbose=2)
    loss, accuracy = model.evaluate(*arrays["test"], verbose=0)
    with whole_file(ROOT / "models" / "pretrained_model.h5", force=True) as part:
        write(model, part, weights_only=True)
    print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
