"""Measure synthesis on this machine: speed, latency, memory, and the share of peak arithmetic."""

from waveflow.evaluation.bench.plan import ENGINES, Case, Plan, Stream, Unavailable
from waveflow.evaluation.bench.run import bench
from waveflow.evaluation.bench.table import to_markdown

__all__ = ["ENGINES", "Case", "Plan", "Stream", "Unavailable", "bench", "to_markdown"]
