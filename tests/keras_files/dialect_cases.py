"""A case for each entry of the table of upgrades: a layer as a version of Keras wrote it, and what comes of it."""

from importlib import import_module

SUBJECTS = ("keras1", "models", "settings", "recurrent", "operations")
CASES = [case for subject in SUBJECTS for case in import_module(f"dialect_cases_{subject}").CASES]
