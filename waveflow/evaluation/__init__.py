"""Measure a vocoder: exact likelihood, quality, and speed."""

from waveflow.evaluation.band_periodicity import band_periodicity
from waveflow.evaluation.baseline import evaluate_baseline, griffin_lim
from waveflow.evaluation.clip_score import ClipScore, RecordingScore
from waveflow.evaluation.crepe import CrepeScore, crepe_score
from waveflow.evaluation.flops import gmacs_per_second
from waveflow.evaluation.metrics import NoSpeechError, estoi, pesq_narrowband, pesq_wideband, stoi
from waveflow.evaluation.opinion import distill_mos, dnsmos
from waveflow.evaluation.page import write_page
from waveflow.evaluation.pitch import f0_error, voicing_f1
from waveflow.evaluation.recording import Recording, nats_per_sample, read_recording
from waveflow.evaluation.report import Report, read_reports
from waveflow.evaluation.scoring import evaluate
from waveflow.evaluation.spectral import log_mel_distance, mel_cepstral_distortion, stft_distance
from waveflow.evaluation.tones import PauseTones, pause_tones, tone_prominence
from waveflow.evaluation.white_noise import evaluate_noise, noise_copy
from waveflow.moved import former_names

__all__ = [
    "ClipScore",
    "CrepeScore",
    "NoSpeechError",
    "PauseTones",
    "RecordingScore",
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

__getattr__ = former_names(__name__)
