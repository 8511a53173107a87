"""A plain evaluation of WaveGlow on the tensors of a checkpoint, to check an import."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

READ_FAMILIES = ("nvidia", "dle", "oldest", "nemo")
"""Families whose own names it reads: a mistake in their tables is found. Of another family it is
given the canonical names, until it has lines for the family's own: an extra place, on purpose."""


class Tensors(Protocol):
    """Tensors by name."""

    def __contains__(self, name: str, /) -> bool: ...
    def __getitem__(self, name: str, /) -> Tensor: ...


class Reference:
    r"""WaveGlow as a plain program, in float64.

    It follows the paper (Prenger et al., https://arxiv.org/abs/1811.00002, section 2) and shares
    no code with the rest of waveflow. Each flow mixes the channels by its matrix W, then changes
    half of them, :math:`z_b = e^{\log s} x_b + t`, where :math:`(t, \log s)` depend on the other
    half and the mel.

    Args:
        weights: names and tensors, such as ``WN.0.start.weight_v``.
        hop_length: samples from one mel frame to the next.
        swap_odd: whether odd flows change the first half of the channels.
    """

    def __init__(self, weights: Tensors, *, hop_length: int, swap_odd: bool = False):
        self.weights = weights
        self.hop_length = hop_length
        self.swap_odd = swap_odd
        self.network = "wavenet" if "wavenet.0.end.bias" in weights else "WN"
        self.matrices: list[Tensor] = []
        while (name := f"convinv.{len(self.matrices)}.conv.weight") in weights:
            self.matrices.append(weights[name].double()[..., 0])
        self.layers = 0
        while f"{self.network}.0.in_layers.{self.layers}.bias" in weights:
            self.layers += 1

    def encode(self, audio: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """The latent, (batch, groups, steps), and the log-likelihood in nats, (batch,)."""
        context = self._context(mel)
        x = audio.unflatten(1, (-1, len(self.matrices[0]))).mT
        done, log_det = [], x.new_zeros(len(x))
        for flow, matrix in enumerate(self.matrices):
            left = x.shape[1] - len(matrix)
            done.append(x[:, :left])
            x = matrix @ x[:, left:]
            log_det = log_det + x.shape[-1] * torch.linalg.slogdet(matrix).logabsdet
            kept, moved = self._halves(flow, x)
            shift, log_scale = self._parameters(flow, kept, context).chunk(2, dim=1)
            x = self._joined(flow, kept, log_scale.exp() * moved + shift)
            log_det = log_det + log_scale.sum((1, 2))
        z = torch.cat([*done, x], dim=1)
        energy = (z.square() + math.log(2 * math.pi)).sum((1, 2)) / 2
        return z, log_det - energy

    def decode(self, z: Tensor, mel: Tensor) -> Tensor:
        """The audio of a latent, (batch, time)."""
        context = self._context(mel)
        start = z.shape[1] - len(self.matrices[-1])
        x = z[:, start:]
        for flow in reversed(range(len(self.matrices))):
            matrix = self.matrices[flow]
            kept, moved = self._halves(flow, x)
            shift, log_scale = self._parameters(flow, kept, context).chunk(2, dim=1)
            x = torch.linalg.inv(matrix) @ self._joined(
                flow, kept, (moved - shift) / log_scale.exp()
            )
            above = len(self.matrices[flow - 1]) if flow else z.shape[1]
            start, end = start - (above - len(matrix)), start
            x = torch.cat([z[:, start:end], x], dim=1)
        return x.mT.flatten(1)

    def _context(self, mel: Tensor) -> Tensor:
        weight, bias = (self.weights[f"upsample.{name}"].double() for name in ("weight", "bias"))
        samples = functional.conv_transpose1d(mel, weight, bias, self.hop_length)
        samples = samples[..., : mel.shape[-1] * self.hop_length]
        groups = len(self.matrices[0])
        return samples.unflatten(2, (-1, groups)).permute(0, 1, 3, 2).flatten(1, 2)

    def _halves(self, flow: int, x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, dim=1)
        return (second, first) if self.swap_odd and flow % 2 else (first, second)

    def _joined(self, flow: int, kept: Tensor, moved: Tensor) -> Tensor:
        swapped = self.swap_odd and flow % 2
        return torch.cat([moved, kept] if swapped else [kept, moved], dim=1)

    def _parameters(self, flow: int, kept: Tensor, context: Tensor) -> Tensor:
        name = f"{self.network}.{flow}"
        hidden, total = self._convolved(f"{name}.start", kept), kept.new_zeros(())
        fused = f"{name}.cond_layer.bias" in self.weights
        conditions = self._convolved(f"{name}.cond_layer", context) if fused else context
        for i in range(self.layers):
            if fused:
                condition = conditions.chunk(self.layers, dim=1)[i]
            else:
                condition = self._convolved(f"{name}.cond_layers.{i}", context)
            filtered, gate = (
                self._convolved(f"{name}.in_layers.{i}", hidden, dilation=2**i) + condition
            ).chunk(2, dim=1)
            value, last = filtered.tanh() * gate.sigmoid(), i == self.layers - 1
            if f"{name}.skip_layers.{i}.bias" in self.weights:
                total = total + self._convolved(f"{name}.skip_layers.{i}", value)
                if not last:
                    hidden = hidden + self._convolved(f"{name}.res_layers.{i}", value)
                continue
            update = self._convolved(f"{name}.res_skip_layers.{i}", value)
            width = hidden.shape[1]
            total = total + (update if last else update[:, width:])
            hidden = hidden if last else hidden + update[:, :width]
        return self._convolved(f"{name}.end", total)

    def _convolved(self, name: str, x: Tensor, *, dilation: int = 1) -> Tensor:
        weight, bias = self._weight(name), self.weights[f"{name}.bias"].double()
        padding = dilation * (weight.shape[-1] // 2)
        return functional.conv1d(x, weight, bias, padding=padding, dilation=dilation)

    def _weight(self, name: str) -> Tensor:
        for g, v in (
            ("weight_g", "weight_v"),
            ("parametrizations.weight.original0", "parametrizations.weight.original1"),
        ):
            if f"{name}.{g}" in self.weights:
                direction = self.weights[f"{name}.{v}"].double()
                length = direction.flatten(1).norm(dim=1)[:, None, None]
                return self.weights[f"{name}.{g}"].double() * direction / length
        return self.weights[f"{name}.weight"].double()
