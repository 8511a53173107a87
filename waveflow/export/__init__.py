"""Synthesis as a file that needs no waveflow: ONNX graphs and torch programs."""
