"""Long-term prediction: each pitch period is predicted from the one before."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from waveflow.bijections.base import Axis, Bijection, PlacedStages, Shape, sum_per_example
from waveflow.precision import Durable, default_precision, full_precision
from waveflow.streaming.block_recursion import BlockRecursionStage
from waveflow.streaming.place import Place
from waveflow.streaming.rows import form_of

LOW_PASS_TAPS = 24
"""Taps of the low-pass filter of the samples that are correlated."""

KERNEL_SIZE = 9
"""Taps of the kernel, by default."""

FLOOR = 1e-2
"""Added to the product of two energies of whitened samples, whose variance is about 1."""

_START = {"voicing": -1.0, "sharpness": 4.0, "gain": 0.0, "gain_slope": 0.0, "voicing_slope": 2.0}
"""The parameters of a block besides logits and kernel, and their initial values."""


class BlockwiseNetwork(Protocol):
    """A network whose outputs are the parameters of blocks.

    Attributes:
        blocks: Number of blocks in a frame of the context.
    """

    blocks: int

    def on_rows(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        """The network of rows, (frames, channels) -> (frames, blocks * n_params).

        Args:
            like: A tensor with the precision and device of the result.
        """
        ...

    def scale_parameters(self, factors: Tensor) -> None:
        """Scale the weights, so that the parameters of each block are multiplied by ``factors``.

        Args:
            factors: Factor of each parameter, (n_params,).
        """
        ...


class LongTermPredictor(Bijection, Durable):
    r"""Each sample less its prediction from about one pitch period ago, scaled.

    .. math::
        z_t = \Big(x_t - \sum_l a_l\, x_{t-l}\Big)\, e^{-g}, \qquad
        a = \rho\,\big(\operatorname{softmax}(u + \kappa\,r) * k\big), \qquad
        \log|\det J| = -\sum_t g

    The lags :math:`l` are the pitch periods of speech. The coefficients are constant over a block
    of samples. The Jacobian is triangular, because a sample is predicted from earlier ones alone.
    For each block a network computes from the context the logits :math:`u` of the lags, a kernel
    :math:`k` (:math:`\sum|k| \le 1`) for fractional lags and for periodicity that decreases with
    frequency, and five numbers: :math:`v, v_r, \kappa, g_0, g_r`.

    The prediction adapts to the past samples, which both directions have: :math:`r` is the
    normalised correlation of the last ``window`` low-passed samples before the block with those
    one lag earlier. With :math:`\bar r = \sum_l \operatorname{softmax}_l\, r_l`,

    .. math:: \rho = \sigma(v + v_r\,\bar r), \qquad g = g_0 + g_r\,\bar r .

    :math:`\sum_l |a_l| \le \rho < 1`, so the synthesis filter is stable. Analysis is parallel;
    synthesis is a recursion in pieces of the shortest lag. The signal is zero before its first
    sample.

    Atal & Schroeder, *Adaptive predictive coding of speech signals*, Bell System Technical
    Journal 49(8), 1970; Schroeder & Atal, *Code-excited linear prediction (CELP)*, ICASSP 1985;
    adaptation to the past as in Chen et al., *A low-delay CELP coder for the CCITT 16 kb/s speech
    coding standard*, IEEE JSAC 10(5), 1992.

    Args:
        network: The network ``context -> parameters``, (batch, n_params, blocks), with
            ``n_params = len(initial_parameters(lags, kernel_size))``.
        lags: The pitch periods, in samples; see ``pitch_lags``.
        block: Number of samples over which the coefficients are constant.
        kernel_size: Number of taps of the kernel; odd.
        window: Number of samples before a block that are correlated with their past.
        cutoff: Cutoff of the low-pass filter, in cycles a sample.

    Raises:
        ValueError: fewer than two lags, lags within the kernel's reach, or an even kernel size.

    >>> import torch
    >>> from waveflow.nets import BlockNetwork
    >>> lags = pitch_lags(22050, 60, 420)
    >>> network = BlockNetwork(4, bias=initial_parameters(lags, 9), channels=8, blocks=2)
    >>> predictor = LongTermPredictor(network, lags=lags)
    >>> x, context = torch.randn(1, 2048), torch.randn(1, 4, 8)
    >>> z, log_det = predictor(x, context)
    >>> torch.allclose(predictor.inverse(z, context), x, atol=1e-4)
    True
    """

    low_pass: Tensor

    through_correlation: bool = True
    """Whether gradients of the inverse pass through r to the samples that it is computed from.

    These gradients describe how the choice of a lag changes with all earlier samples. Over
    thousands of samples they may grow without bound. If they are off, r is a constant of the
    backward pass.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        lags: range,
        block: int = 128,
        kernel_size: int = KERNEL_SIZE,
        window: int = 256,
        cutoff: float = 0.15,
    ):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"LongTermPredictor: expected an odd kernel_size; got {kernel_size}")
        if len(lags) < 2 or lags[0] <= kernel_size // 2:
            raise ValueError(
                f"LongTermPredictor: expected two lags or more, each longer than "
                f"{kernel_size // 2} samples; got {lags}"
            )
        self.network = network
        self.lags = lags
        self.block = block
        self.kernel_size = kernel_size
        self.window = window
        self._low_pass = _low_pass(cutoff).to(default_precision())  # of the loops: on the CPU
        low_pass = self._low_pass.to(torch.empty(0).device, copy=True)
        self.register_buffer("low_pass", low_pass, persistent=False)

    def context_shape(self, x: Tensor) -> Shape:  # ``read`` compares the lengths
        channels = getattr(self.network, "in_channels", None)
        return (
            (x.shape[0], ...)
            if channels is None
            else (x.shape[0], channels, Axis("frames", least=1))
        )

    @property
    def shortest(self) -> int:
        """The shortest lag that a coefficient has, the kernel's reach included."""
        return self.lags[0] - self.kernel_size // 2

    @property
    def longest(self) -> int:
        """The longest lag that a coefficient has, the kernel's reach included."""
        return self.lags[-1] + self.kernel_size // 2

    @property
    def correlated(self) -> int:
        """Number of low-passed samples before a block that its correlations depend on."""
        return self.window + self.lags[-1]

    @property
    def memory(self) -> int:
        """Number of samples before a block that the block depends on."""
        return max(self.longest, self.correlated + LOW_PASS_TAPS - 1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_gain = self._analyse(x, context)
        return z, -self.block * sum_per_example(log_gain)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self._after_silence(z, self.read(z, context))

    def sharp_inverse(self, z: Tensor, context: Tensor | None, factor: float) -> Tensor:
        """The inverse of the copy that ``sharpened`` returns, with gradients for these weights."""
        return self._after_silence(z, self.read(z, context) * self.sharpening(factor))

    def _after_silence(self, z: Tensor, parameters: Tensor) -> Tensor:
        """``synthesise`` with zeros before the first sample."""
        with full_precision(z):
            return self.synthesise(z, parameters, z.new_zeros(z.shape[0], self.memory))

    def sharpening(self, factor: float) -> Tensor:
        """Factors of the parameters of a block, (n_params,), that multiply the logits of the lags
        by ``factor``.
        """
        logits, sharpness = len(self.lags), len(self.lags) + self.kernel_size + 1
        factors = self.low_pass.new_ones(sharpness + 4)
        factors[:logits] = factors[sharpness] = factor
        return factors

    def synthesise(self, z: Tensor, parameters: Tensor, past: Tensor) -> Tensor:
        """The inverse of blocks that follow given samples.

        Differentiable once: the gradients are compiled, and autograd cannot record them.

        Args:
            z: Whole blocks, (batch, blocks * block).
            parameters: Parameters of the blocks, (batch, blocks, n_params).
            past: The samples before the blocks, (batch, memory).

        Returns:
            x, (batch, blocks * block).
        """
        recursion = _recursion(z.device)
        low_pass = self._low_pass if recursion.on_cpu else self.low_pass
        lags = self.lags.start, self.lags.stop
        options = low_pass.to(z.dtype), lags, self.kernel_size, self.window, FLOOR
        return cast(
            Tensor,
            recursion.apply(past, z, parameters, self.block, options, self.through_correlation),
        )

    def local_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As :meth:`Bijection.local_log_det`, with one part a block."""
        z, log_gain = self._analyse(x, context)
        return z, -self.block * log_gain

    def _analyse(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """z, (batch, time), and g, (batch, blocks)."""
        parameters = self.read(x, context)
        with full_precision(x):
            weights, kernel, log_gain = self.coefficients(parameters, self.correlate(x))
            predicted = self._predict(x, weights, kernel)
            z = (x.unflatten(1, (-1, self.block)) - predicted) * (-log_gain).exp()
            return z.flatten(1), log_gain[..., 0]

    def stages(self, place: Place) -> PlacedStages:
        read = form_of(self.network, "on_rows", place.like)
        blocks = cast(BlockwiseNetwork, self.network).blocks
        silence = place.like.new_zeros(self.memory)
        return [BlockRecursionStage(read, blocks, self.block, self.synthesise, silence)], place

    def constant(self) -> Bijection:
        return ConstantLongTerm(self)

    def fused(self) -> Bijection:
        return self

    def read(self, x: Tensor, context: Tensor | None) -> Tensor:
        """The parameters of every block of ``x``, (batch, blocks, n_params), in its precision.

        Raises:
            ValueError: no context, or a length that is not the context's number of blocks.
        """
        if context is None:
            raise ValueError("LongTermPredictor: expected a context; got None")
        parameters = self.network(context).to(x.dtype).mT
        expected = parameters.shape[1] * self.block
        if x.dim() != 2 or x.shape[1] != expected:
            raise ValueError(
                f"LongTermPredictor: expected (batch, {expected}) samples for "
                f"{parameters.shape[1]} blocks; got {tuple(x.shape)}"
            )
        return parameters

    def correlate(self, x: Tensor) -> Tensor:
        """The correlations before every block: (batch, time) -> (batch, blocks, lags)."""
        low = _filtered(functional.pad(x, (LOW_PASS_TAPS - 1, 0)), self.low_pass)
        before = functional.pad(low, (self.correlated, 0))[:, : self.correlated + x.shape[1] - 1]
        return self._correlation(before.unfold(1, self.correlated, self.block))

    def coefficients(
        self, parameters: Tensor, correlation: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The coefficients of blocks, by the formulas above.

        Args:
            parameters: Logits, kernel, v, kappa, g_0, g_r and v_r of blocks, (..., n_params).
            correlation: The correlations r, (..., lags).

        Returns:
            The weights of the lags, softmax(u + kappa r), (..., lags); the kernel times rho,
            (..., kernel_size); and g, (..., 1). The convolution of weights and kernel is a, which
            begins with the lag ``shortest``.
        """
        return _coefficients(correlation, *self._parts(parameters))

    def _parts(self, parameters: Tensor) -> tuple[Tensor, ...]:
        """Logits, the kernel divided by its norm if that is above 1, and the other numbers."""
        sizes = [len(self.lags), self.kernel_size, *[1] * len(_START)]
        logits, kernel, *rest = parameters.split(sizes, dim=-1)
        return logits, kernel / kernel.abs().sum(-1, keepdim=True).clamp_min(1), *rest

    def _correlation(self, low: Tensor) -> Tensor:
        """Normalised correlation of the newest ``window`` samples with those one lag earlier.

        Args:
            low: Low-passed samples up to a block, (..., correlated).

        Returns:
            (..., lags), shortest lag first.
        """
        count = len(self.lags)
        newest, past = low[..., -self.window :], low[..., : self.window + count - 1]
        size = fft_size(past.shape[-1])
        product = torch.fft.rfft(past, size) * torch.fft.rfft(newest, size).conj()
        products = torch.fft.irfft(product, size)[..., :count]
        sums = functional.pad(past.square().cumsum(-1), (1, 0))
        energy = (sums[..., self.window :] - sums[..., :count]).clamp_min(0)
        own = newest.square().sum(-1, keepdim=True)
        return (products / (energy * own + FLOOR).sqrt()).flip(-1)

    def _predict(self, x: Tensor, weights: Tensor, kernel: Tensor) -> Tensor:
        """The prediction of every block: (batch, time) -> (batch, blocks, block)."""
        reach = self.longest - self.shortest
        padded = functional.pad(x, (self.longest, 0))[:, : x.shape[1] + reach]
        seen = padded.unfold(1, self.block + reach, self.block)
        size = fft_size(self.block + reach)
        taps = torch.fft.rfft(weights, size) * torch.fft.rfft(kernel, size)
        product = torch.fft.rfft(seen, size) * taps
        return torch.fft.irfft(product, size)[..., reach : reach + self.block]


class ConstantLongTerm(LongTermPredictor):
    """A :class:`LongTermPredictor` whose inverse can be traced for any length.

    The inverse is a scan, of which ``torch.export`` records one block. It would unroll a Python
    loop for one number of frames, and cannot record compiled loops.

    Args:
        predictor: The bijection.
    """

    def __init__(self, predictor: LongTermPredictor) -> None:
        super().__init__(
            predictor.network,
            lags=predictor.lags,
            block=predictor.block,
            kernel_size=predictor.kernel_size,
            window=predictor.window,
        )
        self.low_pass = predictor.low_pass

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """(batch, blocks * block), (batch, channels, frames) -> (batch, blocks * block)."""
        from torch._higher_order_ops.scan import scan_op  # slow to import

        logits, *rest = self._parts(self.network(context).mT)
        before = functional.pad(torch.ones_like(rest[-1][:, 1:], dtype=torch.bool), (0, 0, 1, 0))
        blocks = z.reshape(*before.shape[:2], self.block)
        given = [x.flatten(0, 1)[:, None, None] for x in (before, blocks, logits.flip(2), *rest)]
        start, tables = [z.new_zeros(1, 1, self.memory)], (self.low_pass,)
        _, audio = scan_op(self._block, start, given, tables)  # all its tensors are arguments
        return audio.reshape(z.shape)

    def _block(
        self, past: Tensor, before: Tensor, z: Tensor, *parts_and_low_pass: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One block of one example, all (1, 1, size): past, and whether a block of the same example
        comes before, z, the parts of the parameters, and the low-pass filter, (taps,).
        """
        *parts, low_pass = parts_and_low_pass
        past = torch.where(before, past, 0.0)
        count, window = len(self.lags), self.window
        recent = past[..., self.memory - self.correlated - LOW_PASS_TAPS + 1 :]
        low = functional.conv1d(recent, low_pass[None, None])
        newest = low[..., self.correlated - window :]
        products = functional.conv1d(low[..., : window + count - 1], newest)
        sums = functional.pad((low * low).cumsum(-1), (1, 0))
        energy = (sums[..., window : window + count] - sums[..., :count]).clamp_min(0)
        own = functional.conv1d(newest, newest)
        correlation = products / (energy * own + FLOOR).sqrt()
        weights, kernel, log_gain = _coefficients(correlation, *parts)
        taps = functional.conv1d(weights, kernel, padding=self.kernel_size - 1)
        for excitation in (z * log_gain.exp()).split(self.shortest, dim=2):
            start = past.shape[2] - self.longest
            seen = past[..., start : past.shape[2] - self.shortest + excitation.shape[2]]
            past = torch.cat([past, excitation + functional.conv1d(seen, taps)], dim=2)
        dense = torch.contiguous_format  # a scan refuses a state whose strides change
        audio = past[..., self.memory :].clone(memory_format=dense)
        return past[..., self.block :].clone(memory_format=dense), audio

    def constant(self) -> Bijection:
        return self


def _coefficients(
    correlation: Tensor,
    logits: Tensor,
    kernel: Tensor,
    voicing: Tensor,
    sharpness: Tensor,
    gain: Tensor,
    gain_slope: Tensor,
    voicing_slope: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The results of ``LongTermPredictor.coefficients``."""
    weights = torch.softmax(logits + sharpness * correlation, dim=-1)
    mean = (weights * correlation).sum(-1, keepdim=True)
    strength = torch.sigmoid(voicing + voicing_slope * mean)
    return weights, strength * kernel, gain + gain_slope * mean


@cache
def _recursion(device: torch.device) -> Any:
    """The compiled recursion for tensors of a device; a GPU without Triton uses the CPU's."""
    if device.type == "cuda" and find_spec("triton") is not None:
        from waveflow.bijections import long_term_kernels

        if long_term_kernels.run_on(device):
            return long_term_kernels.Kernels
    from waveflow.bijections.long_term_loops import Loops  # numba is slow to import

    return Loops


def pitch_lags(sample_rate: int, lowest_pitch: float, highest_pitch: float) -> range:
    """The periods of a range of pitch, in whole samples.

    Args:
        sample_rate: Samples per second.
        lowest_pitch: Lowest pitch, in Hz.
        highest_pitch: Highest pitch, in Hz.

    >>> pitch_lags(22050, 60, 420)
    range(52, 368)
    """
    return range(int(sample_rate / highest_pitch), int(sample_rate / lowest_pitch) + 1)


def sharpened(bijection: Bijection, factor: float) -> Bijection:
    r"""A copy of a bijection whose predictors weight their lags by
    :math:`\operatorname{softmax}(\text{factor}\,(u + \kappa r))`.

    The factor is the inverse of a temperature, for the choice of a lag. Synthesis with the copy no
    longer samples from the model's density.

    Args:
        bijection: Any bijection, with or without predictors inside.
        factor: The factor of the logits; above 1 sharpens, below 1 blurs.

    Returns:
        A copy with other weights, or the bijection itself if nothing changes.
    """
    if factor == 1 or not any(isinstance(part, LongTermPredictor) for part in bijection.modules()):
        return bijection
    copied = copy.deepcopy(bijection)
    for part in copied.modules():
        if isinstance(part, LongTermPredictor):
            cast(BlockwiseNetwork, part.network).scale_parameters(part.sharpening(factor))
    return copied


def initial_parameters(lags: range, kernel_size: int) -> list[float]:
    """The parameters of a block before training: equal lags, and a kernel of one tap."""
    kernel = [float(tap == kernel_size // 2) for tap in range(kernel_size)]
    return [*[0.0] * len(lags), *kernel, *_START.values()]


def fft_size(least: int) -> int:
    """A fast size for Fourier transforms: the next multiple of 64."""
    return -(-least // 64) * 64


def _low_pass(cutoff: float) -> Tensor:
    """A windowed sinc, (taps,)."""
    n = torch.arange(LOW_PASS_TAPS, dtype=torch.float64, device="cpu") - (LOW_PASS_TAPS - 1) / 2
    taper = torch.hann_window(LOW_PASS_TAPS + 1, dtype=torch.float64, device="cpu")[1:]
    return 2 * cutoff * torch.sinc(2 * cutoff * n) * taper


def _filtered(x: Tensor, taps: Tensor) -> Tensor:
    """(batch, time) -> (batch, time - taps + 1): cross-correlation with the taps."""
    return functional.conv1d(x[:, None], taps.to(x.dtype)[None, None])[:, 0]
