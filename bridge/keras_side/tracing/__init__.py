"""A Keras model as a layered graph."""
