"""What each layer computes, in ONNX's text form."""
