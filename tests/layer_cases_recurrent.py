"""The cases of the recurrent layers."""

from case import rows

STEPS = (4, 3)
EACH = (  # the options of all three kinds: name, options, call, named, shapes
    ("plain", {}, {}, ("sequences",), STEPS),
    ("sequences", {"return_sequences": True}, {}, ("sequences",), STEPS),
    ("open_steps", {"return_sequences": True}, {}, ("sequences",), (None, 3)),
)
CASES = [
    *[
        rows(kind, (name, {"units": 2, **options}, *shapes), named=named, call=call)[0]
        for kind in ("LSTM", "GRU", "SimpleRNN")
        for name, options, call, named, *shapes in EACH
    ]
]
