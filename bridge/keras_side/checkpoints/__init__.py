"""TensorFlow's checkpoints: weights alone, by the objects that they belong to or by names, and home again."""
