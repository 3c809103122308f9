"""Complex numbers between the layers, as pairs of real tensors: ONNX's operators know none.

Before tf2onnx writes a graph, each TensorFlow operator on complex numbers is replaced by operators on their real and
their imaginary parts. What takes them in another way is refused.
"""

from bridge.keras_side.tracing.complex_numbers.replace import without_complex

__all__ = ["without_complex"]
