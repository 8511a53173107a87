"""The WaveNet-like network of a coupling's parameters: the papers' F and H."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from waveflow.nets.constant import FusedProduct, FusedWaveNet, Product
from waveflow.nets.padded import PaddedConv1d
from waveflow.streaming.gated import GatedBuilder
from waveflow.streaming.rows import Stage
from waveflow.streaming.taps import Taps
from waveflow.streaming.weights import as_matrix, as_taps

_Convolution = TypeVar("_Convolution", bound=nn.Conv1d)


class WaveNet(nn.Module):
    r"""Dilated convolutions with gates, residuals and skips, conditioned on a context.

    .. math::
        h_0 = \text{start}(x), \qquad
        a_i = \text{dilated}_i(h_i) + \text{condition}_i(c), \qquad
        g_i = \tanh(a_i^{(1)})\,\sigma(a_i^{(2)}), \qquad
        h_{i+1} = h_i + \text{residual}_i(g_i)

    and the output is :math:`\text{end}(\sum_i \text{skip}_i(g_i))`. Layer i is dilated by
    :math:`2^{i \bmod \text{cycle}}`; padding keeps the number of steps. ``end`` starts at zero, so
    a coupling starts as the identity. If the context's rate is an integer fraction of the data's,
    it is convolved at its own rate and repeated.

    Prenger et al., *WaveGlow* (https://arxiv.org/abs/1811.00002), section 2.1, after van den Oord
    et al., *WaveNet* (https://arxiv.org/abs/1609.03499).

    Args:
        in_channels: Channels of ``x``.
        out_channels: Channels of the output.
        context_channels: Channels of the context.
        channels: Channels of the hidden layers.
        layers: Number of gated layers.
        kernel_size: Kernel size of the dilated convolutions; odd.
        cycle: Number of layers after which dilations restart at 1; by default they never do.
        causal: Whether a step of the output sees no step of ``x`` after its own; by default the
            receptive field is symmetric.

    Attributes:
        in_channels: Channels of ``x``.
        out_channels: Channels of the output.
        context_channels: Channels of the context.

    Raises:
        ValueError: ``kernel_size`` is even.

    >>> import torch
    >>> network = WaveNet(2, 4, 3, channels=8, layers=2)
    >>> network(torch.randn(1, 2, 6), torch.randn(1, 3, 2)).shape  # a frame is 3 steps
    torch.Size([1, 4, 6])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        context_channels: int,
        *,
        channels: int,
        layers: int,
        kernel_size: int = 3,
        cycle: int | None = None,
        causal: bool = False,
    ):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"WaveNet: expected an odd kernel_size; got {kernel_size}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.context_channels = context_channels
        self.channels = channels
        self.start = normalised(Pointwise(in_channels, channels))
        self.condition = normalised(Pointwise(context_channels, 2 * channels * layers))
        self.dilated = nn.ModuleList()
        self.residual_skip = nn.ModuleList()
        for i in range(layers):
            dilation = 2 ** (i % (cycle or layers))
            dilated = PaddedConv1d(
                channels, 2 * channels, kernel_size, dilation=dilation, causal=causal
            )
            self.dilated.append(normalised(dilated))
            outputs = 2 * channels if i < layers - 1 else channels  # the last has no residual
            self.residual_skip.append(normalised(Pointwise(channels, outputs)))
        self.end = zeroed(Pointwise(channels, out_channels))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(batch, in_channels, steps), (batch, context_channels, steps / ratio) ->
        (batch, out_channels, steps).
        """
        hidden = self.start(x)
        conditions = self.condition(context).chunk(len(self.dilated), dim=1)
        total = torch.zeros_like(hidden)
        for dilated, residual_skip, condition in zip(
            self.dilated, self.residual_skip, conditions, strict=True
        ):
            gate = gated(conditioned(dilated(hidden), condition))
            update = residual_skip(gate)
            if update.shape[1] > self.channels:
                hidden = hidden + update[:, : self.channels]
                update = update[:, self.channels :]
            total = total + update
        return self.end(total)

    def fused(self) -> nn.Module:
        """The same network for a GPU, in few operators; it uses this one up, which is a copy."""
        return FusedWaveNet(self)

    def stage(self, ratio: int) -> Stage:
        r"""The network as a stage of a stream.

        Each skip is multiplied by ``end`` on its own,
        :math:`(\sum_i g_i S_i) E = \sum_i g_i (S_i E)`. So the rows of a layer are its hidden
        channels and the sum of parameters so far, which has fewer columns than the skips.

        Args:
            ratio: Steps for each row of the context.
        """
        channels = self.channels
        end, end_bias = as_matrix(self.end)
        builder = GatedBuilder(self.start, self.condition, ratio, parameters=len(end_bias))
        for module, residual_skip in zip(self.dilated, self.residual_skip, strict=True):
            dilated = cast(PaddedConv1d, module)
            weight, bias = as_matrix(residual_skip)
            taps = Taps(dilated, builder.scale, builder.like)
            builder.add(
                dilated.window(),
                taps,
                as_taps(dilated)[1],
                torch.cat([weight[:, :-channels], weight[:, -channels:] @ end], 1),
                torch.cat([bias[:-channels], bias[-channels:] @ end]),
            )
        return builder.with_bias(end_bias)


class Pointwise(nn.Conv1d):
    """A convolution of kernel size 1.

    On a CPU without gradients it is computed as a matrix product, which takes half the time of a
    convolution at the sizes of one utterance. A GPU rounds the two differently, so a latent of the
    one would not decode exactly with the other.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() or self.bias is None or x.is_cuda:
            return super().forward(x)
        weight = self.weight[..., 0].expand(len(x), -1, -1)
        return torch.baddbmm(self.bias[:, None], weight, x)

    def constant(self) -> nn.Module:
        """The same map for tracing."""
        return Product(self)

    def fused(self) -> nn.Module:
        """The same map for a GPU."""
        return FusedProduct(self)


def zeroed(convolution: _Convolution) -> _Convolution:
    """The convolution, with all of its parameters set to zero."""
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution


def normalised(convolution: nn.Conv1d) -> nn.Module:
    """A convolution with weight norm, whose class is shared by all of its kind.

    torch creates a new class for every parametrised module. Its compiler treats modules of
    different classes as different programs, so it would compile each WaveNet of a flow again.
    Objects of such classes cannot be pickled either. torch's ``remove_parametrizations`` restores
    the plain class of one module, and leaves the others as they are.
    """
    plain = type(convolution)
    module = weight_norm(convolution)
    module._load_state_dict_pre_hooks.clear()  # the class loads the old names itself
    module.__class__ = _NORMALISED[plain]
    return module


class _Shared(type):
    """The metaclass of shared classes. torch adds a property to a module's class when it
    parametrises a tensor, and deletes it when it removes the parametrisation. Here the property
    stays, and looks at each module.
    """

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, _parametrised(name) if isinstance(value, property) else value)

    def __delattr__(cls, name: str) -> None:
        if not isinstance(cls.__dict__.get(name), property):
            super().__delattr__(name)


def _parametrised(name: str) -> property:
    """A tensor that is computed if the module parametrises it, and plain otherwise."""

    def read(module: Any) -> Tensor:
        if name in module.parametrizations:
            return module.parametrizations[name]()
        for plain in (module._parameters, module._buffers):
            if name in plain:
                return plain[name]
        raise AttributeError(name)

    def write(module: Any, value: Tensor) -> None:
        module.parametrizations[name].right_inverse(value)

    return property(read, write)


def _load_any_spelling(
    module: nn.Conv1d, state: dict[str, Tensor], prefix: str, *rest: Any
) -> None:
    """Load a weight by torch's current or former names, or as one tensor without weight norm."""
    g, v = (f"{prefix}weight_{part}" for part in "gv")
    if f"{prefix}weight" in state:
        weight = state.pop(f"{prefix}weight")
        norm = torch.linalg.vector_norm(weight.double(), dim=(1, 2), keepdim=True)
        # a row of zeros needs some direction, or the weight would be 0 / 0
        state[g], state[v] = norm.to(weight), torch.where(norm == 0, 1, weight)
    if g in state and v in state:
        for number, name in enumerate((g, v)):
            state[f"{prefix}parametrizations.weight.original{number}"] = state.pop(name)
    nn.Conv1d._load_from_state_dict(module, state, prefix, *rest)


def _with_norm(plain: type[nn.Conv1d]) -> type[nn.Module]:
    contents = {
        "__module__": __name__,
        "__doc__": f"A :class:`{plain.__name__}` with weight norm.",
        "weight": _parametrised("weight"),
        "_load_from_state_dict": _load_any_spelling,
    }
    kind: Any = _Shared(f"Normalised{plain.__name__}", (plain,), contents)
    return kind


NormalisedPaddedConv1d = _with_norm(PaddedConv1d)
NormalisedPointwise = _with_norm(Pointwise)

_NORMALISED: dict[type[nn.Module], type[nn.Module]] = {
    PaddedConv1d: NormalisedPaddedConv1d,
    Pointwise: NormalisedPointwise,
}
"""The class with weight norm for each class without."""


def conditioned(activation: Tensor, condition: Tensor) -> Tensor:
    """(batch, channels, steps) plus (batch, channels, steps / ratio), each for ``ratio`` steps."""
    steps = activation.unflatten(2, (condition.shape[2], -1))
    return (steps + condition[..., None]).flatten(2)


def gated(activation: Tensor) -> Tensor:
    """(batch, 2 * channels, steps) -> (batch, channels, steps), each between -1 and 1."""
    filtered, gate = activation.chunk(2, dim=1)
    return filtered.tanh() * gate.sigmoid()
