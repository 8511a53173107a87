"""How good a vocoder is: its exact likelihood, what listeners would say, and its speed."""

from waveflow.evaluation.arithmetic import gmacs_per_second
from waveflow.evaluation.band_periodicity import band_periodicity
from waveflow.evaluation.baseline import evaluate_baseline, griffin_lim
from waveflow.evaluation.clip_score import ClipScore, Recorded
from waveflow.evaluation.crepe import CrepeScore, crepe_score
from waveflow.evaluation.metrics import (
    NoSpeechError,
    estoi,
    pesq_narrowband,
    pesq_wideband,
    stoi,
)
from waveflow.evaluation.opinion import distill_mos, dnsmos
from waveflow.evaluation.page import write_page
from waveflow.evaluation.pitch import f0_error, voicing_f1
from waveflow.evaluation.recording import Recording, nats_per_sample, read_recording
from waveflow.evaluation.report import Report, read_reports
from waveflow.evaluation.scoring import evaluate
from waveflow.evaluation.spectral import (
    log_mel_distance,
    mel_cepstral_distortion,
    stft_distance,
)
from waveflow.evaluation.tones import PauseTones, pause_tones, tone_prominence
from waveflow.evaluation.white_noise import evaluate_noise, noise_copy

__all__ = [
    "ClipScore",
    "CrepeScore",
    "NoSpeechError",
    "PauseTones",
    "Recorded",
    "Recording",
    "Report",
    "band_periodicity",
    "crepe_score",
    "distill_mos",
    "dnsmos",
    "estoi",
    "evaluate",
    "evaluate_baseline",
    "evaluate_noise",
    "f0_error",
    "gmacs_per_second",
    "griffin_lim",
    "log_mel_distance",
    "mel_cepstral_distortion",
    "nats_per_sample",
    "noise_copy",
    "pause_tones",
    "pesq_narrowband",
    "pesq_wideband",
    "read_recording",
    "read_reports",
    "stft_distance",
    "stoi",
    "tone_prominence",
    "voicing_f1",
    "write_page",
]
