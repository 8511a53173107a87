"""How good a vocoder is: its exact likelihood, what listeners would say, and its speed."""

from waveflow.evaluation.arithmetic import gmacs_per_second
from waveflow.evaluation.baseline import evaluate_baseline, griffin_lim
from waveflow.evaluation.metrics import (
    NoSpeechError,
    estoi,
    pesq_narrowband,
    pesq_wideband,
    stoi,
)
from waveflow.evaluation.page import write_page
from waveflow.evaluation.pitch import f0_error, voicing_f1
from waveflow.evaluation.recording import Recording, nats_per_sample, read_recording
from waveflow.evaluation.report import ClipScore, Report, evaluate
from waveflow.evaluation.spectral import (
    log_mel_distance,
    mel_cepstral_distortion,
    stft_distance,
)
from waveflow.evaluation.tones import PauseTones, pause_tones, tone_prominence

__all__ = [
    "ClipScore",
    "NoSpeechError",
    "PauseTones",
    "Recording",
    "Report",
    "estoi",
    "evaluate",
    "evaluate_baseline",
    "f0_error",
    "gmacs_per_second",
    "griffin_lim",
    "log_mel_distance",
    "mel_cepstral_distortion",
    "nats_per_sample",
    "pause_tones",
    "pesq_narrowband",
    "pesq_wideband",
    "read_recording",
    "stft_distance",
    "stoi",
    "tone_prominence",
    "voicing_f1",
    "write_page",
]
