"""What is in a file, and skeletons of code for weights alone."""
