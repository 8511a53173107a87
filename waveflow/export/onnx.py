"""A vocoder as an ONNX file, or as an exported torch program: mel in, audio out."""

from __future__ import annotations

from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from waveflow.export.bijections import Context, inverse
from waveflow.export.builder import OnnxBuilder
from waveflow.export.consistency import consistency
from waveflow.export.coupling import Data
from waveflow.export.graph import SynthesisGraph
from waveflow.export.networks import network
from waveflow.io.atomic import write_atomically
from waveflow.io.paths import as_path
from waveflow.precision import full_precision
from waveflow.version import __version__

if TYPE_CHECKING:
    import onnx

    from waveflow.vocoder import Vocoder

Noise = Literal["input", "graph"]


def onnx_model(
    vocoder: Vocoder,
    *,
    temperature: float | None = None,
    consistency: int | None = None,
    noise: Noise = "graph",
) -> onnx.ModelProto:
    """The whole synthesis as one float32 graph of plain operators, opset 17.

    Inputs, with dynamic batch and frames:

    - ``mel``: (batch, n_mels, frames), natural log, in the convention in the metadata;
    - ``noise``: (batch, frames * hop_length), standard normal, which the graph multiplies by the
      temperature; only with ``noise="input"``.

    Output: ``audio``, (batch, frames * hop_length). The iterations of mel consistency are part of
    the graph, with their Fourier transforms as matrix products. With ``noise="graph"`` every run
    draws new noise. The graph then has the one input and the one output of the "hifigan" vocoders
    that sherpa-onnx loads, and its metadata declare it as one.

    Args:
        vocoder: The vocoder to export.
        temperature: Factor of the noise; by default the vocoder's own.
        consistency: Iterations of mel consistency; by default the vocoder's own.
        noise: ``"input"`` for noise as an input, which makes runs reproducible; ``"graph"`` for
            noise that the graph draws.

    Raises:
        ImportError: the package ``onnx`` is missing.
        ValueError: a value out of range, or a vocoder with a part that has no ONNX form.
    """
    _require_onnx()
    if noise not in ("input", "graph"):
        raise ValueError(f"expected noise 'input' or 'graph'; got {noise!r}")
    synthesis = vocoder.config.synthesis.override(temperature=temperature, consistency=consistency)
    graph = SynthesisGraph(vocoder, synthesis)
    builder = OnnxBuilder()
    mel = builder.input("mel", ["batch", vocoder.config.mel.n_mels, "frames"])
    drawn = builder.input("noise", ["batch", "samples"]) if noise == "input" else None
    audio = _synthesis(graph, builder, mel, drawn)
    metadata = {
        "model_type": "hifigan",
        "waveflow": __version__,
        "model": vocoder.config.model.name,
        "noise": noise,
        **{name: str(value) for name, value in asdict(synthesis).items()},
        **{name: str(value) for name, value in asdict(vocoder.config.mel).items()},
    }
    return builder.model(outputs={audio: ("audio", ["batch", "samples"])}, metadata=metadata)


def export_onnx(
    vocoder: Vocoder,
    path: str | Path,
    *,
    temperature: float | None = None,
    consistency: int | None = None,
    noise: Noise = "graph",
) -> None:
    """Write :func:`onnx_model` to a file, completely or not at all.

    Args:
        vocoder: The vocoder to export.
        path: The path of the file, a ``.onnx``.
        temperature: Factor of the noise; by default the vocoder's own.
        consistency: Iterations of mel consistency; by default the vocoder's own.
        noise: ``"input"`` for noise as an input, ``"graph"`` for noise that the graph draws.

    >>> import tempfile
    >>> from waveflow import Vocoder
    >>> vocoder = Vocoder.from_pretrained("ljspeech-nano")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(vocoder, f"{folder}/ljspeech-nano.onnx")
    """
    path = as_path(path)
    model = onnx_model(vocoder, temperature=temperature, consistency=consistency, noise=noise)
    write_atomically(path, model.SerializeToString())


def export_torch(
    vocoder: Vocoder,
    path: str | Path,
    *,
    temperature: float | None = None,
    consistency: int | None = None,
) -> None:
    """Write the same graph as a torch program that runs without this package, completely or not at
    all.

    ``torch.export.load(path).module()(mel, noise)`` is audio. The mel is (batch, n_mels, frames)
    with 3 frames or more; the noise is (batch, frames * hop_length), standard normal.

    Args:
        vocoder: The vocoder to export.
        path: The path of the file, a ``.pt2``.
        temperature: Factor of the noise; by default the vocoder's own.
        consistency: Iterations of mel consistency; by default the vocoder's own.
    """
    path = as_path(path)
    synthesis = vocoder.config.synthesis.override(temperature=temperature, consistency=consistency)
    graph = SynthesisGraph(vocoder, synthesis)
    config = vocoder.config.mel
    mel = torch.full((2, config.n_mels, 12), -5.0, dtype=torch.float32, device="cpu")
    noise = mel.new_zeros(2, 12 * config.hop_length)
    free = torch.export.Dim.DYNAMIC
    with torch.no_grad(), full_precision(mel):
        program = torch.export.export(
            graph, (mel, noise), dynamic_shapes=({0: free, 2: free}, {0: free, 1: free})
        )
    content = BytesIO()  # torch itself hides the error of a full disk
    torch.export.save(program, content)
    write_atomically(path, content.getbuffer())


def _synthesis(graph: SynthesisGraph, builder: OnnxBuilder, mel: str, noise: str | None) -> str:
    """The audio of a mel; without noise, the graph draws it."""
    groups = graph.groups
    if noise is None:
        latent = _drawn(builder, mel, groups, graph.hop_length // groups)
    else:
        latent = builder.swap(builder.reshape(noise, 0, -1, groups))
    latent = builder.op("Mul", latent, builder.constant(graph.temperature))
    context = network(graph.context_net, builder, mel, "", 1)
    sample = inverse(
        graph.bijection,
        builder,
        Data(latent, groups, groups),
        Context(context, graph.samples_per_context_step),
    )
    return consistency(graph.consistency, builder, sample.value, mel)


def _drawn(builder: OnnxBuilder, mel: str, groups: int, steps: int) -> str:
    """A standard normal latent, (batch, groups, frames * steps)."""
    shape = builder.op("Mul", builder.op("Shape", mel), builder.constant([1, 0, steps]))
    shape = builder.op("Add", shape, builder.constant([0, groups, 0]))
    zeros = builder.op("Expand", builder.constant(0.0), shape)
    return builder.op("RandomNormalLike", zeros)


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(f"this needs pip install 'waveflow[onnx]' ({error})") from error
