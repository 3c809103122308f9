"""How many rows the tests of the evaluation have."""

ROWS = 203  # no multiple of any batch here
