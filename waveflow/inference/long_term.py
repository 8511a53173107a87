"""The long-term predictor as a stage: whole blocks of samples, each from what came before it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.bijections import LongTermPredictor
from waveflow.inference.linear import Linear
from waveflow.inference.rows import Line, Push, joined
from waveflow.inference.weights import pointwise
from waveflow.nets import BlockNetwork


class LongTerm:
    """The inverse of a :class:`waveflow.bijections.LongTermPredictor`, (samples,) -> (samples,).

    Its state is the last few hundred samples.

    Args:
        predictor: the bijection, with a :class:`waveflow.nets.BlockNetwork`.
        like: a tensor, for precision and device.

    Raises:
        TypeError: another kind of network.
    """

    def __init__(self, predictor: LongTermPredictor, like: Tensor):
        network = predictor.network
        if not isinstance(network, BlockNetwork):
            raise TypeError(f"expected a BlockNetwork; got {type(network).__name__}")
        self._start = Linear(*pointwise(network.start), like)
        self._end = Linear(*pointwise(network.end), like)
        self._blocks, self._block = network.blocks, predictor.block
        self._predictor = predictor
        self._silence = like.new_zeros(predictor.memory)

    def begin(self, context: Line) -> Push:
        reader = context.reader(self._blocks)
        past, held = self._silence, self._silence[:0]

        def push(samples: Tensor, last: bool) -> Tensor:
            nonlocal past, held
            samples = joined(held, samples)
            count = len(samples) // self._block
            whole, held = samples[: count * self._block], samples[count * self._block :]
            if not count:
                return whole
            parameters = reader.take_apart(count, self._read)
            audio = self._predictor.synthesise(whole[None], parameters[None], past[None])[0]
            past = torch.cat([past, audio])[-len(past) :]
            return audio

        return push

    def _read(self, context: Tensor) -> Tensor:
        """(frames, channels) -> (frames, blocks * n_params)."""
        return self._end(functional.silu(self._start(context)))

    def ready(self, steps: int) -> int:
        return steps // self._block * self._block

    def needs(self, step: int) -> int:
        return 0  # a recursion forgets nothing
