"""What listeners would say of speech, predicted without the recording: DistillMOS and DNSMOS."""

from __future__ import annotations

import importlib
from contextlib import redirect_stdout
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from waveflow.audio.sample_rate import resample
from waveflow.evaluation.metrics import check_pair

_RATE = 16000
_WINDOW = 144160  # samples, 9.01 s, that DNSMOS hears at a time
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)  # its published map to opinions


def distill_mos(audio: Tensor, sample_rate: int) -> float:
    """DistillMOS, a predicted mean opinion score from 1 to 5 of the whole of a clip.

    It hears how natural and how clean speech sounds up to 8 kHz; it does not know the recording, so
    it cannot hear a wrong pitch or a wrong word, and noise that is brought to the mel of speech
    scores near a vocoder.

    Stahl and Gamper, *Distillation and pruning for scalable self-supervised representation-based
    speech quality assessment*, 2025, https://arxiv.org/abs/2502.05356. Windows of 7.68 s, each
    scaled to a peak of 1, at most 1 s apart; their mean.

    Args:
        audio: (time,).
        sample_rate: of the audio, Hz; it is resampled to 16 kHz.

    Raises:
        ImportError: the package ``distillmos`` is missing; says how to install it.
        NoSpeechError: silence.
        ValueError: audio of another shape, or not finite.
    """
    check_pair(audio, audio)
    model = _distill_mos()
    samples = resample(audio.detach().float().cpu(), sample_rate, _RATE)
    with torch.inference_mode():
        return float(model(samples[None]))


def dnsmos(audio: Tensor, sample_rate: int) -> float:
    """DNSMOS OVRL, a predicted overall opinion score from 1 to 5 of the whole of a clip.

    It hears background noise and distortion up to 8 kHz; it was made for noise suppressors, does
    not know the recording, and hardly hears whether a voice is hoarse or its pitch is right.

    Reddy et al., *DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
    evaluate noise suppressors*, 2022, https://arxiv.org/abs/2110.01763. Windows of 9.01 s, 1 s
    apart; their mean. A shorter clip is repeated until it fills one.

    Args:
        audio: (time,).
        sample_rate: of the audio, Hz; it is resampled to 16 kHz.

    Raises:
        ImportError: the packages ``speechmos`` and ``onnxruntime`` are missing; says how to install
            them.
        NoSpeechError: silence.
        ValueError: audio of another shape, or not finite.
    """
    check_pair(audio, audio)
    session = _dnsmos()
    samples = resample(audio.detach().float().cpu(), sample_rate, _RATE).clamp(-1, 1).numpy()
    while len(samples) < _WINDOW:
        samples = np.append(samples, samples)
    count = int(len(samples) // _RATE - _WINDOW / _RATE) + 1  # as its package counts them
    windows = (samples[None, i * _RATE : i * _RATE + _WINDOW] for i in range(count))
    raw = [session.run(None, {"input_1": window})[0][0][2] for window in windows]
    return float(np.polyval(_OVERALL, raw).mean())


@lru_cache(maxsize=1)
def _distill_mos() -> torch.nn.Module:
    package = needed("distillmos")
    with redirect_stdout(StringIO()):  # it prints where its weights are
        return package.ConvTransformerSQAModel().eval()


@lru_cache(maxsize=1)
def _dnsmos() -> Any:
    """The network that the package ``speechmos`` brings, on the CPU with torch's threads."""
    package, runtime = needed("speechmos"), needed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    path = Path(package.__file__).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def needed(package: str) -> Any:
    """Import a package of the extra ``quality``.

    Raises:
        ImportError: it is missing; names the extra.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"this metric needs {package}: pip install 'waveflow[quality]'"
        ) from error
