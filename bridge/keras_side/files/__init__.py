"""What lies in a Keras file: archives, HDF5, the places of weights."""
