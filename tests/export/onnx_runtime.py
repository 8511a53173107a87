"""Traced programs in ONNX Runtime."""

import onnxruntime
import torch

from waveflow.export.onnx import to_onnx


def session_of(model):
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run_onnx(program, given, outputs):
    """The outputs of a program for some inputs, computed by ONNX Runtime."""
    inputs = [f"input {number}" for number in range(len(given))]
    model = to_onnx(program, inputs, [f"output {number}" for number in range(outputs)])
    values = {name: one.numpy() for name, one in zip(inputs, given, strict=True)}
    return [torch.from_numpy(one) for one in session_of(model).run(None, values)]
