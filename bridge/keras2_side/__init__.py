"""Legacy Keras (tf_keras), where it is installed: the only place that imports it, in a process of its own."""
