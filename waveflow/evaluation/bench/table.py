"""The figures of a benchmark as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waveflow.io.markdown import table_of_figures

ROWS = {
    "engine": ("engine", "{}"),
    "threads": ("threads", "{}"),
    "batch": ("batch", "{}"),
    "seconds": ("seconds", "{:g}"),
    "speed": ("× real time", "{:.1f}"),
    "speed_low": ("lower quartile", "{:.1f}"),
    "speed_high": ("upper quartile", "{:.1f}"),
    "ms_p50": ("p50, ms", "{:.1f}"),
    "ms_p95": ("p95, ms", "{:.1f}"),
    "gmac_per_s": ("GMAC per second of audio", "{:.2f}"),
    "share_of_peak": ("share of matmul peak", "{:.1%}"),
    "memory_mb": ("memory, MB", "{:.0f}"),
}
"""Heading and format of each figure of a row."""

STREAMS = {
    "threads": ("threads", "{}"),
    "frames": ("frames per chunk", "{}"),
    "chunk_ms": ("audio per chunk, ms", "{:.0f}"),
    "first_ms_p50": ("first audio p50, ms", "{:.1f}"),
    "first_ms_p95": ("first audio p95, ms", "{:.1f}"),
    "look_ahead_ms": ("look-ahead, ms", "{:.0f}"),
    "chunk_ms_p50": ("chunk p50, ms", "{:.1f}"),
    "chunk_ms_p95": ("chunk p95, ms", "{:.1f}"),
    "chunk_ms_worst": ("chunk worst, ms", "{:.1f}"),
    "speed": ("× real time", "{:.1f}"),
    "real_time": ("in real time", "{}"),
}
"""Heading and format of each figure of a stream."""


def to_markdown(results: Mapping[str, Any]) -> str:
    """The results of :func:`waveflow.evaluation.bench.bench` as text with up to two tables."""
    peaks = ", ".join(
        f"{value:.0f} GFLOP/s with {threads} threads"
        for threads, value in results["matmul_gflop_per_s"].items()
    ).replace("with 1 threads", "with 1 thread")
    head = f"{results['machine']}; fp32 matrix product {peaks}; {results['rounds']} rounds"
    parts = [head]
    parts += [f"{engine} skipped: {why}" for engine, why in results["skipped"].items()]
    if results["rows"]:
        parts.append(table_of_figures(results["rows"], ROWS))
    if results["streams"]:
        parts.append(f"Streams of {results['streams'][0]['seconds']:g} s:")
        parts.append(table_of_figures(results["streams"], STREAMS))
    return "\n\n".join(parts)
