"""The engines that are compared; each makes audio from a mel.

Every call draws the noise of the same seed, so all engines make the same audio up to rounding:

- ``engine``: ``vocoder(mel)``, the default;
- ``plain``: ``vocoder.decode`` followed by mel consistency, as torch modules;
- ``compile``: like ``plain``, but the flow, with its tables and inverses precomputed, runs through
  ``torch.compile``, for one shape at a time. Mel consistency does not, because
  ``torch.compile`` does not compile its complex numbers;
- ``onnx``: ONNX Runtime with the file of ``waveflow export onnx --noise input``;
- ``openvino``: OpenVINO with the same file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from waveflow.config import SynthesisConfig
from waveflow.evaluation.bench.plan import Case, Unavailable
from waveflow.export.graph import SynthesisGraph
from waveflow.export.onnx import onnx_model
from waveflow.noise import positional_noise
from waveflow.vocoder import Vocoder

Synthesis = Callable[[Tensor], Tensor]
SEED = 0


def synthesis_of(case: Case, vocoder: Vocoder) -> Synthesis:
    """The function that synthesises with the engine of a case.

    Args:
        case: the case, with engine, threads, iterations and device.
        vocoder: vocoder on the device of the case.

    Returns:
        A function from a mel (batch, n_mels, frames) on that device to audio (batch, samples).

    Raises:
        Unavailable: the engine is not available; the returned function may also raise it.
    """
    synthesis = vocoder.config.synthesis.override(consistency=case.consistency)
    if case.engine == "compile":
        return _compiled(vocoder, synthesis, case.device)
    if case.engine == "onnx":
        return _onnx(vocoder, synthesis, case)
    if case.engine == "openvino":
        return _openvino(vocoder, synthesis, case)
    return _by_torch(case.engine, vocoder, synthesis)


def _by_torch(engine: str, vocoder: Vocoder, synthesis: SynthesisConfig) -> Synthesis:
    if engine == "engine":
        return lambda mel: vocoder(mel, seed=SEED, consistency=synthesis.consistency)
    return lambda mel: plain(vocoder, mel, synthesis)


def plain(vocoder: Vocoder, mel: Tensor, synthesis: SynthesisConfig) -> Tensor:
    """The audio of a mel, computed by the modules themselves.

    Args:
        vocoder: vocoder in evaluation mode.
        mel: mel, (batch, n_mels, frames), natural log.
        synthesis: temperature and iterations.

    Returns:
        audio, (batch, frames * hop_length).
    """
    with torch.inference_mode():
        audio = vocoder.decode(_latent(vocoder, mel, synthesis), mel)
        return vocoder.mel_consistency(audio, mel, synthesis.consistency, synthesis.full_band)


def _latent(vocoder: Vocoder, mel: Tensor, synthesis: SynthesisConfig) -> Tensor:
    """The latent that ``vocoder(mel, seed=SEED)`` decodes."""
    noise = synthesis.temperature * _noise(mel, vocoder.config.mel.hop_length)
    return noise.view(len(mel), -1, vocoder.config.model.groups).to(mel).mT


def _noise(mel: Tensor, hop_length: int) -> Tensor:
    return positional_noise(SEED, len(mel), mel.shape[-1] * hop_length)


def _compiled(vocoder: Vocoder, synthesis: SynthesisConfig, device: str) -> Synthesis:
    own = os.environ.get("CXX")
    if not any(map(shutil.which, [own] if own else ["g++", "clang++", "cl"])):
        raise Unavailable("torch.compile: no C++ compiler found")
    graph = SynthesisGraph(vocoder, synthesis).to(device)

    def decode(z: Tensor, mel: Tensor) -> Tensor:
        return graph.bijection.inverse(z, graph.context_net(mel))

    compiled = torch.compile(decode, dynamic=False, fullgraph=True)

    def call(mel: Tensor) -> Tensor:
        with torch.inference_mode():
            try:
                audio = compiled(_latent(vocoder, mel, synthesis), mel)
            except RuntimeError as error:  # any part of the compiler raises it
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise Unavailable(f"torch.compile: {reason}") from None
            return vocoder.mel_consistency(audio, mel, synthesis.consistency, synthesis.full_band)

    return call


def _onnx(vocoder: Vocoder, synthesis: SynthesisConfig, case: Case) -> Synthesis:
    try:
        import onnxruntime
    except ImportError as error:
        raise Unavailable(f"needs pip install 'waveflow[onnx]' ({error})") from None
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[case.device]
    if provider not in onnxruntime.get_available_providers():
        raise Unavailable(f"this onnxruntime has no {provider}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    options.inter_op_num_threads = 1
    model = _model(vocoder, synthesis)
    session = onnxruntime.InferenceSession(model, options, providers=[provider])
    hop_length = vocoder.config.mel.hop_length
    return lambda mel: torch.from_numpy(session.run(["audio"], _inputs(mel, hop_length))[0])


def _openvino(vocoder: Vocoder, synthesis: SynthesisConfig, case: Case) -> Synthesis:
    try:
        import openvino
    except ImportError as error:
        raise Unavailable(f"needs pip install openvino ({error})") from None
    if case.device != "cpu":
        raise Unavailable(f"runs on the CPU; got the device {case.device}")
    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": case.threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = core.compile_model(core.read_model(_model(vocoder, synthesis)), "CPU", settings)
    hop_length = vocoder.config.mel.hop_length
    return lambda mel: torch.from_numpy(model(_inputs(mel, hop_length))["audio"].copy())


def _inputs(mel: Tensor, hop_length: int) -> dict[str, Any]:
    """The inputs of an exported file."""
    return {"mel": mel.cpu().numpy(), "noise": _noise(mel, hop_length).float().numpy()}


def _model(vocoder: Vocoder, synthesis: SynthesisConfig) -> bytes:
    try:
        model = onnx_model(
            vocoder,
            temperature=synthesis.temperature,
            consistency=synthesis.consistency,
            noise="input",
        )
    except (ImportError, ValueError) as error:
        raise Unavailable(str(error)) from None
    return model.SerializeToString()


def counted(case: Case, vocoder: Vocoder) -> Synthesis:
    """The synthesis of a case in a form whose products torch can count.

    ``engine`` and ``plain`` are counted as they are, and ``compile`` like ``plain``. An exported
    file is counted as :class:`~waveflow.export.graph.SynthesisGraph`, which has the same graph;
    there the Fourier transforms of mel consistency are matrix products, which are counted.
    """
    synthesis = vocoder.config.synthesis.override(consistency=case.consistency)
    if case.engine in ("onnx", "openvino"):
        graph, hop_length = SynthesisGraph(vocoder, synthesis), vocoder.config.mel.hop_length
        return lambda mel: graph(mel.cpu(), _noise(mel, hop_length).float())
    return _by_torch(case.engine, vocoder, synthesis)
