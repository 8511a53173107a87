"""A training step on its own, as ``LikelihoodTraining`` does it, and what it needs."""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from waveflow.evaluation.peak import synchronize
from waveflow.io.markdown import markdown_table
from waveflow.training.config import ComputeConfig, TrainingConfig
from waveflow.training.module import LikelihoodTraining


class Step:
    """Forward, backward, clipping, fused Adam and the weight average, on a batch of noise."""

    def __init__(self, config: TrainingConfig, device: str):
        torch.manual_seed(config.run.seed)
        self.config = config
        self.device = device
        self.module = LikelihoodTraining(config).to(device).train()
        optimizers = self.module.configure_optimizers()
        self.optimizer = optimizers["optimizer"]
        samples = config.data.segment_frames * config.mel.hop_length
        self.audio = 0.1 * torch.randn(config.data.batch_size, samples, device=device)
        self.mel = self.module.vocoder.mel(self.audio)

    def __call__(self) -> None:
        self.differentiate()
        parameters = self.module.vocoder.parameters()
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.optimizer.clip_norm)
        if norm.isfinite():
            self.optimizer.step()
            self.module.average.update_parameters(self.module.vocoder)
        self.optimizer.zero_grad()
        synchronize(self.device)

    def differentiate(self) -> None:
        """Forward and backward."""
        mixed = self.config.compute.precision == "bf16-mixed"
        with torch.autocast(self.device, torch.bfloat16, enabled=mixed):
            nats = self.module._log_prob(self.audio, self.mel).sum() / self.audio.numel()
        (-nats).backward()

    def tensors(self) -> Iterator[Tensor]:
        """All that is held from step to step."""
        yield from self.module.parameters()
        yield from self.module.buffers()
        for state in self.optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))
        yield from (self.audio, self.mel)


@cache
def model_flop(config: TrainingConfig) -> float:
    """Multiplications and additions of the plain model's forward and backward pass on a batch.

    What a reversible model computes again is not useful work. The count is linear in the batch.
    """
    batch = config.data.batch_size
    single = replace(config, compute=ComputeConfig(), data=replace(config.data, batch_size=1))
    step = Step(single, "cpu")
    with FlopCounterMode(display=False) as counter:
        step.differentiate()
    return float(batch * counter.get_total_flops())


def profile_step(step: Step, *, top: int = 15) -> str:
    """A Markdown table of the operators that take most time themselves in one step."""
    step()
    cuda = step.device == "cuda"
    with profile(
        activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    ) as profiler:
        step()
    time = {
        event: event.self_device_time_total if cuda else event.self_cpu_time_total
        for event in profiler.key_averages()
    }
    total = sum(time.values())
    rows = (
        (event.key, event.count, f"{time[event] / 1000:.1f}", f"{time[event] / total:.1%}")
        for event in sorted(time, key=time.__getitem__, reverse=True)[:top]
    )
    return markdown_table(("operator", "calls", "self time, ms", "share"), rows)


def peak_memory(config: TrainingConfig, device: str, threads: int) -> dict[str, float]:
    """Most bytes held at a time during a step, for a process that does nothing else.

    ``state`` are weights, their average, Adam's moments and the batch; ``peak`` is all that the
    allocator held, state included; ``rss`` is what the process took, libraries included.
    """
    torch.set_num_threads(threads)
    step = Step(config, device)
    step()  # makes Adam's moments; compiles
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        step()
        peak = torch.cuda.max_memory_allocated()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
    state = sum(tensor.nbytes for tensor in step.tensors())
    if device == "cpu":
        peak = state + _allocated(step)
    return {
        "state": float(state),
        "peak": float(peak),
        "rss": float(rss * (1 if sys.platform == "darwin" else 1024)),
    }


def _allocated(step: Step) -> int:
    """Most bytes that the CPU's allocator gave out during a step, beyond what it had before."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    results = profiler.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest
