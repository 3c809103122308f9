"""The cases of spectral normalization, lookups, spectrograms and embeddings that can be turned."""

from case import config, rows


def dense(**options):
    return {"module": "keras.layers", "class_name": "Dense", "config": {"name": "inner", "units": 3, **options}}


def inner(kind, **options):
    return {"module": "keras.layers", "class_name": kind, "config": {"name": "inner", **options}}


WORDS = [7, 3, 12, 5]

CASES = [
    *rows(
        "SpectralNormalization",
        ("dense", {"layer": dense()}, (4,)),
        ("rank3", {"layer": dense(), "power_iterations": 3}, (2, 4)),
        ("no_bias_relu", {"layer": dense(use_bias=False, activation="relu")}, (4,)),
        (
            "regularized",
            {
                "layer": dense(
                    activation="tanh",
                    kernel_regularizer=config("L2", l2=0.3),
                    kernel_constraint=config("MaxNorm", max_value=0.4, axis=0),
                    activity_regularizer=config("L1", l1=0.1),
                )
            },
            (4,),
        ),
        ("frozen", {"layer": dense(), "trainable": False}, (4,)),
        ("conv2d", {"layer": inner("Conv2D", filters=3, kernel_size=2, padding="same", strides=2)}, (5, 4, 2)),
        ("conv1d", {"layer": inner("Conv1D", filters=3, kernel_size=2, padding="causal")}, (5, 2)),
        ("transposed", {"layer": inner("Conv2DTranspose", filters=3, kernel_size=3, strides=2)}, (3, 2, 2)),
        (
            "depthwise",
            {"layer": inner("DepthwiseConv2D", kernel_size=2, depth_multiplier=2), "power_iterations": 2},
            (3, 4, 2),
        ),
        ("einsum", {"layer": inner("EinsumDense", equation="abc,cde->abde", output_shape=(2, 2, 3))}, (2, 4)),
    ),
    *rows(
        "ReversibleEmbedding",
        ("plain", {"input_dim": 10, "output_dim": 3}, (4,)),
        ("mask_zero", {"input_dim": 10, "output_dim": 3, "mask_zero": True}, (4,)),
        ("untied", {"input_dim": 10, "output_dim": 3, "tie_weights": False}, (4,)),
        dtype="int32",
    ),
    *rows("ReversibleEmbedding", ("bytes", {"input_dim": 256, "output_dim": 3}, (4,)), dtype="uint8"),
    *rows(
        "ReversibleEmbedding",
        ("back", {"input_dim": 7, "output_dim": 3}, (4, 3)),
        ("back_untied", {"input_dim": 7, "output_dim": 3, "tie_weights": False}, (3,)),
        ("back_capped", {"input_dim": 7, "output_dim": 3, "logit_soft_cap": 2.5}, (4, 3)),
        ("back_float32", {"input_dim": 7, "output_dim": 3, "reverse_dtype": "float32"}, (4, 3)),
        (
            "back_regularized",
            {
                "input_dim": 7,
                "output_dim": 3,
                "embeddings_regularizer": config("L2", l2=0.3),
                "embeddings_constraint": config("MaxNorm", max_value=0.4, axis=1),
            },
            (4, 3),
        ),
        call={"reverse": True},
    ),
    *rows(
        "IntegerLookup",
        ("plain", {"vocabulary": WORDS}, (4,)),
        ("scalar_rows", {"vocabulary": WORDS}, ()),
        ("open_axis", {"vocabulary": [4]}, (None,)),
        ("mask", {"vocabulary": WORDS, "mask_token": 0, "num_oov_indices": 3}, (2, 4)),
        ("oov", {"vocabulary": WORDS[:3], "num_oov_indices": 2}, (6,)),
        ("invert", {"vocabulary": WORDS, "invert": True, "mask_token": -3, "oov_token": 99}, (6,)),
        ("one_hot", {"vocabulary": WORDS, "output_mode": "one_hot"}, (4,)),
        ("one_hot_mask", {"vocabulary": WORDS, "output_mode": "one_hot", "mask_token": 2}, (3, 1)),
        ("multi_hot", {"vocabulary": WORDS, "output_mode": "multi_hot", "mask_token": 2}, (5,)),
        ("count", {"vocabulary": WORDS, "output_mode": "count", "num_oov_indices": 2}, (5,)),
        ("padded", {"vocabulary": WORDS, "output_mode": "count", "max_tokens": 9, "pad_to_max_tokens": True}, (5,)),
        ("tf_idf", {"vocabulary": WORDS, "output_mode": "tf_idf", "idf_weights": [0.5, 2.0, 1.5, 0.7]}, (5,)),
        dtype="int64",
    ),
    *rows("IntegerLookup", ("floats", {"vocabulary": [0, 1, -1]}, (4,))),
    *rows(
        "IntegerLookup",
        ("adapted", {"num_oov_indices": 2}, (4,)),
        ("adapted_tf_idf", {"output_mode": "tf_idf", "max_tokens": 4}, (4,)),
        dtype="int64",
        adapt=True,
    ),
    *rows(
        "SpectralNormalization",
        ("embedding", {"layer": inner("Embedding", input_dim=256, output_dim=3)}, (4,)),
        values="pixels",
    ),
    *rows(
        "STFTSpectrogram",
        *[(mode, {"mode": mode, "frame_length": 6}, (20, 2)) for mode in ("log", "magnitude", "real", "imag", "angle")],
        ("psd", {"mode": "psd", "frame_length": 6, "frame_step": 2, "padding": "same"}, (21, 1)),
        ("stft", {"mode": "stft", "frame_length": 6, "fft_length": 10, "scaling": "spectrum"}, (20, 2)),
        ("image", {"frame_length": 4, "padding": "same", "expand_dims": True, "window": "hamming"}, (19, 3)),
        ("open_axis", {"mode": "stft", "frame_length": 4, "padding": "same", "expand_dims": True}, (None, 2)),
        ("first", {"mode": "stft", "frame_length": 6, "data_format": "channels_first"}, (2, 20)),
        (
            "image_first",
            {"frame_length": 4, "padding": "same", "expand_dims": True, "data_format": "channels_first"},
            (3, None),
        ),
        ("frozen", {"frame_length": 4, "window": None, "scaling": None, "trainable": False}, (20, 1)),
    ),
    *rows(
        "MelSpectrogram",
        ("plain", {"fft_length": 32, "sequence_stride": 8, "num_mel_bins": 6}, (127,)),
        ("open_axis", {"fft_length": 4, "sequence_stride": 2, "num_mel_bins": 2, "top_db": 3.0}, (None,)),
        (
            "powers",
            {"fft_length": 32, "sequence_stride": 16, "sequence_length": 21, "num_mel_bins": 5, "power_to_db": False},
            (80,),
        ),
        (
            "options",
            {
                "fft_length": 32,
                "sequence_stride": 16,
                "num_mel_bins": 5,
                "window": "hamming",
                "sampling_rate": 8000,
                "min_freq": 200.0,
                "max_freq": 3000,
                "mag_exp": 1.0,
                "min_power": 0.1,
                "ref_power": 2.0,
            },
            (80,),
        ),
        ("window", {"fft_length": 16, "sequence_stride": 4, "num_mel_bins": 3, "window": [0.5] * 15 + [1.0]}, (50,)),
        ("no_window", {"fft_length": 16, "sequence_stride": 4, "num_mel_bins": 3, "window": None}, (50,)),
        looser=(3e-6, "a Fourier transform of squares, and their logarithms"),
    ),
]
