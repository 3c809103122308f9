"""What lies in a Keras file, read and written: archives, HDF5, the places of weights."""
