"""How good a vocoder is: its exact likelihood, what listeners would say, and its speed."""

from waveflow.evaluation.metrics import NoSpeechError, pesq_wideband, stoi
from waveflow.evaluation.recording import Recording, nats_per_sample, read_recording
from waveflow.evaluation.report import ClipScore, Report, evaluate

__all__ = [
    "ClipScore",
    "NoSpeechError",
    "Recording",
    "Report",
    "evaluate",
    "nats_per_sample",
    "pesq_wideband",
    "read_recording",
    "stoi",
]
