"""Keras as the truth: outputs, gradients, training, in float64 too."""
