"""Doing what is planned: processes that take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from waveflow.evaluation.bench import worker
from waveflow.evaluation.bench.plan import Case, Plan, Stream, Unavailable
from waveflow.evaluation.bench.turns import fresh_process, in_turns, speeds
from waveflow.evaluation.machine import describe

Row = dict[str, Any]


def bench(plan: Plan, *, progress: bool = False) -> dict[str, Any]:
    """Measure what is planned.

    Each engine has a process of its own for each number of threads, so that neither libraries nor
    allocators of one change another. When all are warm, all rows and streams take their turns once
    a round, in an order drawn anew each round, so that what drifts drifts for all. The memory of a
    row is measured beforehand, in a process of its own (see
    :class:`waveflow.evaluation.bench.memory.Memory`).

    Args:
        plan: what.
        progress: whether to show it on stderr.

    Returns:
        plain values: ``machine``, ``matmul_gflop_per_s`` by number of threads, ``rounds``,
        ``skipped`` (engine to reason), ``rows``, ``streams``. A row has ``speed``, seconds of audio
        made in a second, all of a batch together, with its quartiles ``speed_low`` and
        ``speed_high``; ``ms_p50`` and ``ms_p95`` of a call; ``gmac_per_s`` of audio;
        ``share_of_peak``; ``memory_mb`` (millions of bytes, or None). A stream has ``first_ms_p50``
        and ``first_ms_p95`` to the first audio; ``chunk_ms_p50``, ``chunk_ms_p95`` and
        ``chunk_ms_worst``, what a chunk takes, of ``chunk_ms`` of sound; ``look_ahead_ms``;
        ``speed``; ``real_time``, whether 95 of 100 chunks are done before they have been heard.
    """
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        places = dict.fromkeys(map(_where, plan.cases()))
        pools = {where: stack.enter_context(fresh_process()) for where in places}
        facts = _made_ready(plan, pools, skipped)
        memory = _memory(facts, progress) if plan.memory else {}
        streams = [stream for stream in plan.streams() if _where(stream.case) in pools]
        peaks = {threads: [_peak(pools, threads, plan.device)] for threads in plan.threads}
        measured: list[Case | Stream] = [*facts, *streams]
        calls = [worker.call] * len(facts) + [worker.call_stream] * len(streams)
        works = [partial(_work, pools, *turn) for turn in zip(calls, measured, strict=True)]
        found = dict(zip(measured, in_turns(works, plan.rounds, progress=progress), strict=True))
        for threads, values in peaks.items():
            values.append(_peak(pools, threads, plan.device))
        best = {threads: max(values) for threads, values in peaks.items()}
        return {
            "machine": describe(plan.device, threads=False),
            "matmul_gflop_per_s": {threads: value / 1e9 for threads, value in best.items()},
            "rounds": plan.rounds,
            "skipped": skipped,
            "rows": [
                _row(case, fact, found[case], best[case.threads], memory.get(case))
                for case, fact in facts.items()
            ],
            "streams": [
                _stream_row(stream, pools[_where(stream.case)], found[stream]) for stream in streams
            ],
        }


def _where(case: Case) -> tuple[str, int]:
    """Whose process does it."""
    return case.engine, case.threads


def _peak(pools: dict[tuple[str, int], ProcessPoolExecutor], threads: int, device: str) -> float:
    """FLOP/s of the best product, in a process of that many threads; 0 if none is left."""
    pool = next((pool for (_, count), pool in pools.items() if count == threads), None)
    return pool.submit(worker.peak, threads, device).result() if pool else 0.0


def _made_ready(
    plan: Plan, pools: dict[tuple[str, int], ProcessPoolExecutor], skipped: dict[str, str]
) -> dict[Case, dict[str, float]]:
    """What is known of every case that can be measured; the processes of others are left out."""
    facts: dict[Case, dict[str, float]] = {}
    for case in plan.cases():
        pool = pools.get(_where(case))
        if pool is None:
            continue
        try:
            facts[case] = pool.submit(worker.ready, case).result()
        except (Unavailable, BrokenProcessPool) as error:
            skipped[case.engine] = str(error)
            pools.pop(_where(case)).shutdown()
            for other in [other for other in facts if _where(other) == _where(case)]:
                del facts[other]
    return facts


def _memory(cases: Iterable[Case], progress: bool) -> dict[Case, float | None]:
    found: dict[Case, float | None] = {}
    for case in tqdm(list(cases), desc="memory", disable=not progress, leave=False):
        with fresh_process() as pool, suppress(BrokenProcessPool):
            found[case] = pool.submit(worker.memory, case).result()
    return found


def _work(
    pools: dict[tuple[str, int], ProcessPoolExecutor],
    call: Callable[[Any], Any],
    what: Case | Stream,
) -> Any:
    case = what.case if isinstance(what, Stream) else what
    return pools[_where(case)].submit(call, what).result()


def _row(
    case: Case, fact: dict[str, float], times: list[float], peak: float, memory: float | None
) -> Row:
    p50, p95 = (1000 * np.quantile(times, (0.5, 0.95))).tolist()
    return {
        "engine": case.engine,
        "threads": case.threads,
        "batch": case.batch,
        "seconds": case.seconds,
        **speeds(fact["seconds"], times, gmac_per_s=fact["gmac_per_s"], peak=peak),
        "ms_p50": p50,
        "ms_p95": p95,
        "memory_mb": None if memory is None else memory / 1e6,
    }


def _stream_row(
    stream: Stream, pool: ProcessPoolExecutor, results: list[dict[str, list[float]]]
) -> Row:
    facts = pool.submit(worker.stream_facts, stream).result()
    chunks = 1000 * np.concatenate([result["chunks"] for result in results])
    first = 1000 * np.concatenate([result["first"] for result in results])
    totals = np.array([sum(result["chunks"]) for result in results])
    return {
        "threads": stream.case.threads,
        "frames": stream.frames,
        "seconds": stream.case.seconds,
        **facts,
        "first_ms_p50": float(np.quantile(first, 0.5)),
        "first_ms_p95": float(np.quantile(first, 0.95)),
        "chunk_ms_p50": float(np.quantile(chunks, 0.5)),
        "chunk_ms_p95": float(np.quantile(chunks, 0.95)),
        "chunk_ms_worst": float(chunks.max()),
        "speed": float(np.median(stream.case.seconds / totals)),
        "real_time": bool(np.quantile(chunks, 0.95) < facts["chunk_ms"]),
    }
