"""Makes tests/keras_files/old/*_by_*: files that Keras 0.3.3 to 2.2 themselves wrote on Theano, and what they computed.

    python tools/make_oldest_files.py THEANO KERAS

THEANO, KERAS: folders of the unpacked sources of Theano 1.0.5 and of one of Keras 0.3.3, 1.0.5, 1.2.2 and 2.2.4.
Neither installs on a Python of today, but both run beside numpy 1.23, scipy 1.10, six, pyyaml and h5py, Keras 2.2.4
with Keras-Applications 1.0.8 and Keras-Preprocessing 1.1.2 besides.
"""

import collections
import collections.abc
import inspect
import os
import sys
import textwrap
import types
import warnings
from pathlib import Path

OUTPUT = Path(__file__).parent.parent / "tests/keras_files/old"
FLAGS = "cxx=,blas.ldflags=,floatX=float32,mode=FAST_COMPILE,optimizer_excluding=AbstractConvCheck"


def give_back_what_left():
    """What Python, scipy and numpy had when this was written."""

    def getargspec(function):
        found = inspect.getfullargspec(function)
        return types.SimpleNamespace(
            args=found.args, varargs=found.varargs, keywords=found.varkw, defaults=found.defaults
        )

    inspect.getargspec = getargspec
    for name in ("Callable", "Hashable", "Iterable", "Mapping", "MutableMapping", "MutableSet", "Sequence", "Set"):
        setattr(collections, name, getattr(collections.abc, name))
    import scipy.signal

    sys.modules["scipy.signal.signaltools"] = scipy.signal._signaltools
    sys.modules["scipy.signal.sigtools"] = scipy.signal._sigtools


def with_tuples(pool):
    """Theano's pooling indexes by lists of slices, which numpy no longer takes."""
    source = textwrap.dedent(inspect.getsource(pool.Pool.perform))
    source = source.replace("yk[[", "yk[tuple([").replace("xrange(nd)]])", "xrange(nd)])])")
    made = {}
    exec(source, vars(pool), made)
    pool.Pool.perform = made["perform"]


os.environ |= {"THEANO_FLAGS": FLAGS, "KERAS_BACKEND": "theano"}
warnings.simplefilter("ignore")
give_back_what_left()
sys.path[:0] = sys.argv[1:3]

import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from theano.tensor.signal import pool  # noqa: E402

with_tuples(pool)
random = np.random.default_rng(0)


def write(name, model, shapes, whole):
    """The file, its inputs and outputs, and of weights alone the config; the weights are random ones."""
    model.set_weights([(random.normal(size=w.shape) * 0.5).astype("float32") for w in model.get_weights()])
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, spread = layer.get_weights()
            layer.set_weights([gamma, beta, mean, np.abs(spread) + 0.2])
    given = [random.normal(size=(3, *shape)).astype("float32") for shape in shapes]
    found = model.predict(given if len(given) > 1 else given[0])
    path = OUTPUT / f"{name}_by_{keras.__version__.replace('.', '_')}"
    if whole:
        model.save(f"{path}.h5")
    else:
        model.save_weights(f"{path}.h5", overwrite=True)
        path.with_suffix(".json").write_text(model.to_json() + "\n")
    listed = found if isinstance(found, list) else [found]
    arrays = {f"x{i}": x for i, x in enumerate(given)} | {f"y{i}": y for i, y in enumerate(listed)}
    np.savez_compressed(f"{path}.npz", **arrays)
    with h5py.File(f"{path}.h5") as file:
        print(path.name, [y.shape for y in listed], dict(file.attrs).keys())


def numbers():
    from keras.layers.convolutional import Convolution1D, MaxPooling1D
    from keras.layers.core import Dense
    from keras.layers.normalization import BatchNormalization
    from keras.layers.recurrent import GRU, LSTM
    from keras.models import Sequential

    model = Sequential()
    model.add(Convolution1D(3, 2, input_shape=(6, 2), activation="relu"))
    model.add(MaxPooling1D(2))
    model.add(LSTM(2, return_sequences=True))
    model.add(GRU(3))
    model.add(BatchNormalization())
    model.add(Dense(2))
    model.compile("sgd", "mse")
    write("numbers", model, [(6, 2)], whole=False)


def deviations():
    from keras import layers
    from keras.models import Sequential

    model = Sequential()
    model.add(layers.Convolution2D(3, 2, 3, input_shape=(2, 5, 6), border_mode="same", subsample=(2, 1)))
    model.add(layers.BatchNormalization(axis=1))
    model.add(layers.Flatten())
    model.add(layers.BatchNormalization(mode=2))
    model.add(layers.BatchNormalization(mode=1))
    model.add(layers.Dense(3))
    model.compile("sgd", "mse")
    write("deviations", model, [(2, 5, 6)], whole=False)


def padded():
    from keras.layers import (
        LSTM,
        AveragePooling1D,
        BatchNormalization,
        Convolution1D,
        Convolution2D,
        Dense,
        Flatten,
        Input,
        MaxPooling2D,
        merge,
    )
    from keras.models import Model

    image, steps = Input((2, 5, 6)), Input((6, 2))
    x = Convolution2D(3, 2, 3, border_mode="same", subsample=(2, 1), activation="relu", dim_ordering="th")(image)
    x = MaxPooling2D((2, 5), strides=(1, 1), border_mode="same", dim_ordering="th")(BatchNormalization(axis=1)(x))
    y = AveragePooling1D(4, stride=3, border_mode="same")(Convolution1D(3, 4, border_mode="full")(steps))
    y = Dense(2)(merge([Flatten()(x), LSTM(2)(y)], mode="concat"))
    write("padded", Model([image, steps], y), [(2, 5, 6), (6, 2)], whole=True)


def theano_padded():
    from keras import layers
    from keras.models import Model

    first, last = {"data_format": "channels_first"}, {"data_format": "channels_last"}
    image, frames = layers.Input((2, 5, 6)), layers.Input((3, 5, 6, 2))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", **first)(image)  # as many channels as columns
    x = layers.LocallyConnected2D(2, 2, **first)(x)
    x = layers.Conv2D(3, (2, 3), strides=(2, 1), padding="same", **first)(x)
    x = layers.MaxPooling2D((5, 3), strides=(1, 2), padding="same", **first)(x)
    x = layers.DepthwiseConv2D((2, 3), strides=(1, 2), padding="same", depth_multiplier=2, **first)(x)
    x = layers.Conv2DTranspose(2, (3, 5), strides=(3, 2), padding="same", **first)(x)
    x = layers.SeparableConv2D(3, (2, 3), padding="same", **first)(x)  # gives one row more than Keras said
    y = layers.ConvLSTM2D(2, (2, 3), strides=(1, 2), padding="same", return_sequences=True, **last)(frames)
    y = layers.ConvLSTM2D(2, 2, **last)(y)
    y = layers.AveragePooling2D((2, 2), strides=(1, 1), padding="same", **last)(y)
    y = layers.SeparableConv1D(2, 3, strides=2, padding="same")(layers.Reshape((8, 2))(y))
    write("padded", Model([image, frames], [x, y]), [(2, 5, 6), (3, 5, 6, 2)], whole=True)


{"0": numbers, "1.0": deviations, "1.2": padded, "2": theano_padded}[
    next(word for word in ("0", "1.0", "1.2", "2") if keras.__version__.startswith(word))
]()
