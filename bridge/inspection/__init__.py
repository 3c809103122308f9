"""What is in a file, and what convert would do with it: every format that bridge reads or writes."""

from bridge.inspection.inspect import inspect
from bridge.inspection.result import Inspection, Layer, Weight

__all__ = ["Inspection", "Layer", "Weight", "inspect"]
