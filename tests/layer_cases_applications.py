"""Cases of the layers that keras.applications has of its own."""

from case import rows

CASES = [
    *rows(
        "LayerScale",
        ("rank4", {"init_values": 1e-6, "projection_dim": 3}, (2, 4, 3)),
        ("rank2", {"init_values": 1.0, "projection_dim": 5}, (5,)),
    ),
    *rows(
        "StochasticDepth",
        ("rank4", {"drop_path_rate": 0.4}, (2, 2, 3)),
        ("never", {"drop_path_rate": 0.0}, (3,)),
        random=True,
    ),
    *rows("CustomScaleLayer", ("rank4", {"scale": 0.17}, (2, 4, 3), (2, 4, 3))),
]
