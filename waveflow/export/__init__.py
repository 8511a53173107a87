"""Synthesis as a file that runs without waveflow: ONNX graphs and torch programs."""
