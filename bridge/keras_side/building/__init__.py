"""A Keras model from what describes it: a config, the user's code, a line."""
