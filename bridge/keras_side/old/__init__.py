"""Files of Keras 0 to 2, read as their writer meant them."""
