"""Rows for convolutional LSTM layers."""

CASES = []
