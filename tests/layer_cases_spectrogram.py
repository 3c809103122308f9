"""The cases of the spectrograms."""

from case import rows

CASES = [
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
