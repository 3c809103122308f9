"""Readers of the user's data: numpy arrays out, no framework in."""

from bridge.data.dataset import Data, split
from bridge.data.fit import fit_to
from bridge.data.named import NAMES
from bridge.data.reader import read
from bridge.data.targets import class_labels, targets_for

__all__ = ["NAMES", "Data", "class_labels", "fit_to", "read", "split", "targets_for"]
