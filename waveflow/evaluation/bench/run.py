"""Run a benchmark in processes that take turns."""

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
from waveflow.evaluation.peak import describe_machine

Row = dict[str, Any]


def bench(plan: Plan, *, progress: bool = False) -> dict[str, Any]:
    """Run a benchmark.

    Each engine has its own process for each number of threads, so engines do not share libraries
    and allocators. After a warm-up, every case and stream runs once per round, in a random order in
    each round, so drifts of the machine affect all of them equally. The memory of each case is
    measured first, in a separate process (see
    :class:`waveflow.evaluation.bench.memory.PeakMemory`).

    Args:
        plan: the plan.
        progress: show progress on stderr.

    Returns:
        Plain values: ``machine``; ``matmul_gflop_per_s`` by number of threads; ``rounds``;
        ``skipped``, the reason by engine; ``rows``; ``streams``. A row has ``speed`` in seconds of
        audio per second, over the whole batch, with its quartiles ``speed_low`` and ``speed_high``;
        ``ms_p50`` and ``ms_p95`` of a call; ``gmac_per_s`` per second of audio; ``share_of_peak``;
        and ``memory_mb`` in millions of bytes, or None. A stream has ``first_ms_p50`` and
        ``first_ms_p95``, the time to the first audio; ``chunk_ms``, the duration of a chunk's
        audio; ``chunk_ms_p50``, ``chunk_ms_p95`` and ``chunk_ms_worst``, the time that a chunk
        takes; ``look_ahead_ms``; ``speed``; and ``real_time``, whether 95 of 100 chunks take less
        time than their audio lasts.
    """
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        keys = dict.fromkeys(case.process for case in plan.cases())
        pools = {key: stack.enter_context(fresh_process()) for key in keys}
        facts = _warm_up(plan, pools, skipped)
        memory = _memory(facts, progress) if plan.memory else {}
        streams = [stream for stream in plan.streams() if stream.case.process in pools]
        peaks = {threads: [_peak(pools, threads, plan.device)] for threads in plan.threads}
        turns: dict[Case | Stream, Callable[[], Any]] = {}
        for case in facts:
            turns[case] = partial(_call, pools[case.process], worker.call, case)
        for stream in streams:
            turns[stream] = partial(_call, pools[stream.case.process], worker.call_stream, stream)
        measured = in_turns([*turns.values()], plan.rounds, progress=progress)
        results = dict(zip(turns, measured, strict=True))
        for threads, values in peaks.items():
            values.append(_peak(pools, threads, plan.device))
        best = {threads: max(values) for threads, values in peaks.items()}
        return {
            "machine": describe_machine(plan.device, threads=False),
            "matmul_gflop_per_s": {threads: value / 1e9 for threads, value in best.items()},
            "rounds": plan.rounds,
            "skipped": skipped,
            "rows": [
                _row(case, fact, results[case], best[case.threads], memory.get(case))
                for case, fact in facts.items()
            ],
            "streams": [
                _stream_row(stream, pools[stream.case.process], results[stream])
                for stream in streams
            ],
        }


def _call(pool: ProcessPoolExecutor, work: Callable[[Any], Any], measured: Case | Stream) -> Any:
    return pool.submit(work, measured).result()


def _peak(pools: dict[tuple[str, int], ProcessPoolExecutor], threads: int, device: str) -> float:
    """FLOP/s of the fastest product with this number of threads; 0 if it has no process."""
    pool = next((pool for (_, count), pool in pools.items() if count == threads), None)
    return pool.submit(worker.peak, threads, device).result() if pool else 0.0


def _warm_up(
    plan: Plan, pools: dict[tuple[str, int], ProcessPoolExecutor], skipped: dict[str, str]
) -> dict[Case, dict[str, float]]:
    """The facts of every case that can be measured; the processes of other engines are removed."""
    facts: dict[Case, dict[str, float]] = {}
    for case in plan.cases():
        pool = pools.get(case.process)
        if pool is None:
            continue
        try:
            facts[case] = pool.submit(worker.ready, case).result()
        except (Unavailable, BrokenProcessPool) as error:
            skipped[case.engine] = str(error)
            pools.pop(case.process).shutdown()
            facts = {other: fact for other, fact in facts.items() if other.process != case.process}
    return facts


def _memory(cases: Iterable[Case], progress: bool) -> dict[Case, float | None]:
    grown: dict[Case, float | None] = {}
    for case in tqdm(list(cases), desc="memory", disable=not progress, leave=False):
        with fresh_process() as pool, suppress(BrokenProcessPool):
            grown[case] = pool.submit(worker.memory, case).result()
    return grown


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
