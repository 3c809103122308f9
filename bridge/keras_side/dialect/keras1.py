"""Keras 1: layers and settings by the names that Keras 2.0 changed."""
