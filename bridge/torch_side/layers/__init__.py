"""A rule for each Keras layer, and the modules and functions of bridge's own that they use."""
