"""The cases of the layers that merge several inputs."""

from case import rows

CASES = [
    *[
        case
        for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum")
        for case in rows(
            kind,
            ("two", {}, (4,), (4,)),
            ("three", {}, (4,), (4,), (4,)),
            ("four", {}, (2, 3), (2, 3), (2, 3), (2, 3)),
            ("broadcast", {}, (3, 4), (1, 4)),
            ("broadcast_both", {}, (3, 1), (1, 4)),
            ("ranks", {}, (3, 4), (4,)),
            ("three_ranks", {}, (4,), (2, 3, 4), (3, 4)),
        )
    ],
    *rows(
        "Subtract",
        ("two", {}, (4,), (4,)),
        ("broadcast", {}, (3, 4), (1, 4)),
        ("ranks", {}, (4,), (3, 4)),
        ("rank4", {}, (2, 3, 4), (2, 3, 4)),
    ),
    *rows(
        "Concatenate",
        ("two", {}, (4,), (3,)),
        ("three", {}, (4,), (3,), (2,)),
        ("axis1", {"axis": 1}, (2, 4), (3, 4)),
        ("axis_minus2", {"axis": -2}, (2, 4), (3, 4)),
        ("rank4", {"axis": 2}, (2, 1, 4), (2, 3, 4)),
        ("open_axis", {"axis": 1}, (None, 4), (3, 4)),
    ),
    *rows(
        "Dot",
        ("vectors", {"axes": 1}, (4,), (4,)),
        ("vectors_minus1", {"axes": -1}, (4,), (4,)),
        ("matrices", {"axes": 2}, (3, 4), (2, 4)),
        ("matrices_axis1", {"axes": 1}, (3, 4), (3, 2)),
        ("matrices_mixed", {"axes": (2, 1)}, (3, 4), (4, 2)),
        ("matrices_negative", {"axes": (-1, -2)}, (3, 4), (4, 2)),
        ("matrix_vector", {"axes": (2, 1)}, (3, 4), (4,)),
        ("vector_matrix", {"axes": (1, 2)}, (4,), (3, 4)),
        ("matrix_vector_minus1", {"axes": -1}, (3, 4), (4,)),
        ("rank4", {"axes": (3, 1)}, (2, 3, 4), (4, 2)),
        ("rank4_both", {"axes": (1, 3)}, (4, 2, 3), (2, 3, 4)),
        ("cosine", {"axes": 1, "normalize": True}, (4,), (4,)),
        ("cosine_matrices", {"axes": (2, 1), "normalize": True}, (3, 4), (4, 2)),
    ),
    *rows("Dot", ("cosine_tiny", {"axes": 1, "normalize": True}, (4,), (4,)), values="tiny"),
]
