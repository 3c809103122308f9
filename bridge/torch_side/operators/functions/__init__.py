"""Functions that operators become, copied into model.py."""
