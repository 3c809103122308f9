"""Graphs made from graphs: folded, with a new head, with fresh weights, inlined."""
