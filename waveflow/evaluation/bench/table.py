"""Figures as Markdown."""

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
    "gmac_per_s": ("GMAC a second of audio", "{:.2f}"),
    "share_of_peak": ("share of matmul peak", "{:.1%}"),
    "memory_mb": ("memory, MB", "{:.0f}"),
}
"""Heading and format of every figure of a row."""

STREAMS = {
    "threads": ("threads", "{}"),
    "frames": ("frames a chunk", "{}"),
    "chunk_ms": ("of sound, ms", "{:.0f}"),
    "first_ms_p50": ("first audio p50, ms", "{:.1f}"),
    "first_ms_p95": ("p95, ms", "{:.1f}"),
    "look_ahead_ms": ("look-ahead, ms", "{:.0f}"),
    "chunk_ms_p50": ("a chunk p50, ms", "{:.1f}"),
    "chunk_ms_p95": ("p95, ms", "{:.1f}"),
    "chunk_ms_worst": ("worst, ms", "{:.1f}"),
    "speed": ("× real time", "{:.1f}"),
    "real_time": ("in real time", "{}"),
}
"""Likewise of a stream."""


def to_markdown(found: Mapping[str, Any]) -> str:
    """What :func:`waveflow.evaluation.bench.bench` found, as text with a table or two."""
    peaks = ", ".join(
        f"{value:.0f} GFLOP/s on {threads} threads"
        for threads, value in found["matmul_gflop_per_s"].items()
    ).replace("on 1 threads", "on 1 thread")
    head = f"{found['machine']}; fp32 matrix product {peaks}; {found['rounds']} rounds"
    parts = [head]
    parts += [f"{engine} skipped: {why}" for engine, why in found["skipped"].items()]
    if found["rows"]:
        parts.append(table_of_figures(found["rows"], ROWS))
    if found["streams"]:
        parts.append(f"Streams of {found['streams'][0]['seconds']:g} s:")
        parts.append(table_of_figures(found["streams"], STREAMS))
    return "\n\n".join(parts)
