"""A vocoder as an ONNX file, or as an exported torch program: mel in, audio out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from waveflow.config import SynthesisConfig
from waveflow.export.graph import SynthesisGraph
from waveflow.io.atomic import write_atomically
from waveflow.io.paths import as_path
from waveflow.precision import full_precision
from waveflow.version import __version__

if TYPE_CHECKING:
    import onnx

    from waveflow.vocoder import Vocoder

Noise = Literal["input", "graph"]

OPSET = 18
"""The version of the operators; ONNX Runtime reads it since 1.14 (2023)."""

IR_VERSION = 8
"""The version of the file format of that opset."""


def onnx_model(
    vocoder: Vocoder,
    *,
    temperature: float | None = None,
    consistency: int | None = None,
    noise: Noise = "graph",
) -> onnx.ModelProto:
    """The whole synthesis as one float32 graph of plain operators, opset 18.

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
        ImportError: the package ``onnx`` or ``onnxscript`` is missing.
        ValueError: a value out of range.
    """
    _require_onnx()
    if noise not in ("input", "graph"):
        raise ValueError(f"expected noise 'input' or 'graph'; got {noise!r}")
    synthesis = vocoder.config.synthesis.override(temperature=temperature, consistency=consistency)
    program = traced(vocoder, synthesis, noise)
    model = to_onnx(program, ["mel", "noise"], ["audio"])
    for value in (*model.graph.input, *model.graph.output):
        first, *_, last = value.type.tensor_type.shape.dim
        first.dim_param, last.dim_param = "batch", "frames" if value.name == "mel" else "samples"
    about = {
        "model_type": "hifigan",
        "waveflow": __version__,
        "model": vocoder.config.model.name,
        "noise": noise,
        **asdict(synthesis),
        **asdict(vocoder.config.mel),
    }
    for key, entry in about.items():
        model.metadata_props.add(key=key, value=str(entry))
    return model


def to_onnx(
    program: torch.export.ExportedProgram, inputs: list[str], outputs: list[str]
) -> onnx.ModelProto:
    """The checked ONNX model of a traced program.

    Each constant is stored once. The file holds no lines or paths of source files.

    Args:
        program: The program, traced from float32 tensors.
        inputs: Names of the inputs.
        outputs: Names of the outputs.

    Raises:
        ImportError: the package ``onnx`` or ``onnxscript`` is missing.
    """
    _require_onnx()
    import onnx
    import onnx_ir.passes.common as passes
    from onnxscript.optimizer import fold_constants

    with _quiet(), _uncached():
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            optimize=False,  # its search for patterns takes longer than all the rest
            verbose=False,
        )
    assert exported is not None  # as it is without a path
    graph = exported.model
    passes.InlinePass()(graph)
    fold_constants(graph)
    for clean in (
        passes.RemoveUnusedNodesPass(),
        passes.RemoveUnusedFunctionsPass(),
        passes.RemoveUnusedOpsetsPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.LiftSubgraphInitializersToMainGraphPass(),
        passes.DeduplicateInitializersPass(size_limit=2**31),
        passes.CommonSubexpressionEliminationPass(),
        passes.RemoveUnusedNodesPass(),
        passes.OutputFixPass(),
        passes.NameFixPass(),
        passes.ClearMetadataAndDocStringPass(),
    ):
        clean(graph)
    model = exported.model_proto
    model.ir_version, model.producer_name, model.producer_version = IR_VERSION, "waveflow", ""
    model.graph.ClearField("value_info")
    onnx.checker.check_model(model, full_check=True)
    return model


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
    >>> from waveflow import Vocoder, VocoderConfig
    >>> vocoder = Vocoder(VocoderConfig.from_dict({"model": {"name": "nice", "flows": 1}}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(vocoder, f"{folder}/vocoder.onnx", consistency=0)
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
    content = BytesIO()  # torch itself hides the error of a full disk
    torch.export.save(traced(vocoder, synthesis, "input"), content)
    write_atomically(path, content.getbuffer())


def traced(
    vocoder: Vocoder, synthesis: SynthesisConfig, noise: Noise
) -> torch.export.ExportedProgram:
    """The program of a graph for any batch and any number of frames."""
    config, free = vocoder.config.mel, torch.export.Dim.DYNAMIC
    mel = torch.full((2, config.n_mels, 12), -5.0, dtype=torch.float32, device="cpu")
    given: tuple[Any, ...] = (mel, mel.new_zeros(2, 12 * config.hop_length))
    shapes: tuple[Any, ...] = ({0: free, 2: free}, {0: free, 1: free})
    if noise == "graph":
        given, shapes = (mel, None), (shapes[0], None)
    with torch.no_grad(), full_precision(mel), _uncached():
        graph = SynthesisGraph(vocoder, synthesis)
        return torch.export.export(graph, given, dynamic_shapes=shapes)


def _uncached() -> AbstractContextManager[None]:
    """Without a cache of shapes: to compare symbolic sizes takes longer than to compute again."""
    from torch._dynamo import config  # slow to import

    return config.patch(fake_tensor_cache_enabled=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter says of packages that it does not need, and of its own code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(f"this needs pip install 'waveflow[onnx]' ({error})") from error
