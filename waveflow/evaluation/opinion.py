"""Predicted opinion scores without a reference: DistillMOS and DNSMOS."""

from __future__ import annotations

from contextlib import redirect_stdout
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from waveflow.audio.sample_rate import resample
from waveflow.evaluation.metrics import check_pair, needed

_RATE = 16000
_WINDOW = 144160  # samples of a window of DNSMOS, 9.01 s
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)  # published polynomial from raw scores to opinions


def distill_mos(audio: Tensor, sample_rate: int) -> float:
    """DistillMOS, a predicted mean opinion score of a clip from 1 to 5.

    It rates how natural and how clean speech sounds up to 8 kHz. It does not know the recording, so
    it cannot detect a wrong pitch or a wrong word, and noise with the mel of speech scores nearly
    as high as a vocoder.

    Stahl and Gamper, *Distillation and pruning for scalable self-supervised representation-based
    speech quality assessment*, 2025, https://arxiv.org/abs/2502.05356. Windows of 7.68 s, each
    scaled to a peak of 1, at most 1 s apart, are averaged.

    Args:
        audio: audio, (time,).
        sample_rate: sample rate of the audio, Hz; it is resampled to 16 kHz.

    Raises:
        ImportError: the package ``distillmos`` is missing; says how to install it.
        NoSpeechError: the audio is silent.
        ValueError: the audio has another shape, or is not finite.
    """
    check_pair(audio, audio)
    model = _distill_mos()
    samples = resample(audio.detach().float().cpu(), sample_rate, _RATE)
    with torch.inference_mode():
        return float(model(samples[None]))


def dnsmos(audio: Tensor, sample_rate: int) -> float:
    """DNSMOS OVRL, a predicted overall opinion score of a clip from 1 to 5.

    It rates background noise and distortion up to 8 kHz. It was made for noise suppressors, does
    not know the recording, and hardly reacts to a hoarse voice or a wrong pitch.

    Reddy et al., *DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
    evaluate noise suppressors*, 2022, https://arxiv.org/abs/2110.01763. Windows of 9.01 s, 1 s
    apart, are averaged. A shorter clip is repeated until it fills a window.

    Args:
        audio: audio, (time,).
        sample_rate: sample rate of the audio, Hz; it is resampled to 16 kHz.

    Raises:
        ImportError: the packages ``speechmos`` and ``onnxruntime`` are missing; says how to install
            them.
        NoSpeechError: the audio is silent.
        ValueError: the audio has another shape, or is not finite.
    """
    check_pair(audio, audio)
    session = _dnsmos()
    samples = resample(audio.detach().float().cpu(), sample_rate, _RATE).clamp(-1, 1).numpy()
    while len(samples) < _WINDOW:
        samples = np.append(samples, samples)
    count = int(len(samples) // _RATE - _WINDOW / _RATE) + 1  # as the package counts them
    windows = (samples[None, i * _RATE : i * _RATE + _WINDOW] for i in range(count))
    raw = [session.run(None, {"input_1": window})[0][0][2] for window in windows]
    return float(np.polyval(_OVERALL, raw).mean())


@lru_cache(maxsize=1)
def _distill_mos() -> torch.nn.Module:
    package = needed("distillmos", extra="quality")
    with redirect_stdout(StringIO()):  # the package prints the path of its weights
        return package.ConvTransformerSQAModel().eval()


@lru_cache(maxsize=1)
def _dnsmos() -> Any:
    """The network in the package ``speechmos``, on the CPU with as many threads as torch uses."""
    package = needed("speechmos", extra="quality")
    runtime = needed("onnxruntime", extra="quality")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    path = Path(package.__file__).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
