"""The contract of every invertible map, and the two ways to combine maps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import EllipsisType
from typing import Any, ClassVar, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor, nn

from waveflow.streaming.linear import merged
from waveflow.streaming.place import Place
from waveflow.streaming.rows import Stage


class Axis(NamedTuple):
    """An axis of a shape that may have more than one size.

    Attributes:
        name: The name of the axis.
        multiple_of: A number that divides its size.
        divides: A number that its size divides; None for any size.
        least: The smallest size.
    """

    name: str
    multiple_of: int = 1
    divides: int | None = None
    least: int = 0

    def fits(self, size: int) -> bool:
        """Whether the axis may have that size."""
        if size < self.least or size % self.multiple_of:
            return False
        return self.divides is None or (size > 0 and self.divides % size == 0)


Shape: TypeAlias = tuple[int | str | Axis | EllipsisType, ...]
"""A number for an axis of that size, a word for one of any size, ``...`` for more axes."""

PlacedStages: TypeAlias = tuple[list[Stage], Place]
"""Stages, and the place of their output."""


class Bijection(nn.Module):
    r"""An invertible map from data ``x`` to latent ``z``, which may depend on a ``context``.

    With :math:`z = f(x; c)` and the Jacobian :math:`J = \partial z / \partial x` of one example,

    .. math:: \log p(x) = \log p_Z(f(x; c)) + \log\left|\det J\right| .

    ``forward`` returns ``z`` and :math:`\log|\det J|`; ``inverse`` returns ``x``.

    To write a new bijection:

    1. subclass, and implement ``forward`` and ``inverse``; accept ``context`` even if it is unused;
    2. return ``log_det`` of shape ``(batch,)``, in float32 or better: ``zero_log_det`` and
       ``sum_per_example`` do that;
    3. keep the arithmetic of the map itself out of mixed precision with
       ``waveflow.precision.full_precision``;
    4. set ``volume_preserving = True`` if ``log_det`` is zero for every input;
    5. declare the shapes: ``x_shape``, ``z_shape`` if it differs, and ``context_shape`` if the map
       needs a context. This class then checks every call of ``forward`` and ``inverse``;
    6. implement ``stages``, the form that synthesis and streams run, with the pieces in
       ``waveflow.streaming``. Implement ``forward_stages`` as well if an ``Inverse`` may hold the
       bijection;
    7. override the other forms where their default is wrong or slow: ``local_log_det`` if steps
       differ, ``constant`` if the inverse computes values that depend on the weights alone;
    8. export it in ``waveflow/bijections/__init__.py``, and add one line to
       ``tests/bijections/cases.py``: every test of a law and of a form then covers it.

    A subclass of another bijection that changes the map must override these forms as well.

    See Papamakarios et al., *Normalizing Flows for Probabilistic Modeling and Inference*
    (https://arxiv.org/abs/1912.02762), and ``docs/theory.md``.
    """

    volume_preserving: bool = False
    _context_name: ClassVar[str] = "a context"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, checked in _CHECKED.items():
            if name in cls.__dict__:
                setattr(cls, name, checked(cls.__dict__[name]))

    def x_shape(self) -> Shape | None:
        """The shape of the data; None for any shape."""
        return None

    def z_shape(self) -> Shape | None:
        """The shape of the latent; by default that of the data."""
        return self.x_shape()

    def context_shape(self, x: Tensor) -> Shape | None:
        """The shape of the context; None if the map needs no context.

        Args:
            x: The data or the latent of the same call.
        """
        return None

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to latent.

        Args:
            x: Data, (batch, ...).
            context: The context that the map depends on, (batch, ...).

        Returns:
            ``z`` and ``log_det``, the latter of shape (batch,).

        Raises:
            ValueError: data or a context of another shape than the bijection takes.
        """
        raise NotImplementedError

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Map latent back to data: ``inverse(forward(x, context)[0], context) == x``.

        Raises:
            ValueError: a latent or a context of another shape than the bijection takes.
        """
        raise NotImplementedError

    def local_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to latent, with the log-determinant of each step.

        By default the log-determinant is spread evenly over the steps. That is exact if all steps
        are scaled alike, or if volume is preserved. A bijection whose steps differ overrides this.

        Args:
            x: Data, (batch, ...).
            context: The context that the map depends on, (batch, ...).

        Returns:
            ``z``, and the parts of ``log_det``, (batch, n), which add up to it. There is one part
            for each of n steps, or a single one that is spread evenly.

        Raises:
            ValueError: as ``forward``.
        """
        z, log_det = self(x, context)
        return z, log_det[:, None]

    def stages(self, place: Place) -> PlacedStages:
        """The inverse as stages of a stream, which synthesis runs.

        Args:
            place: The place of ``z`` between latent and audio.

        Returns:
            The stages, from rows of ``z`` to rows of ``x``, and the place of ``x``. A row is a
            step, (channels,), and audio is (samples,).

        Raises:
            TypeError: the bijection, or a part of it, has no such form.
        """
        raise TypeError(
            f"no frozen form is known of {type(self).__name__}: expected a method `stages`"
        )

    def forward_stages(self, place: Place) -> PlacedStages:
        """The forward direction as stages of a stream, which synthesis runs inside an
        :class:`Inverse`.

        Args:
            place: The place of ``x`` between latent and audio.

        Returns:
            The stages, from rows of ``x`` to rows of ``z``, and the place of ``z``.

        Raises:
            TypeError: the bijection, or a part of it, has no such form.
        """
        raise TypeError(
            f"no frozen form is known of {type(self).__name__}, run forward: "
            f"expected a method `forward_stages`"
        )

    def constant(self) -> Bijection:
        """The same map for tracing: values that depend on the weights alone are constants in
        buffers. By default the bijection itself. It may use the bijection up, which is a copy.
        """
        return self

    def fused(self) -> Bijection:
        """The same map for a GPU, in few operators. By default the form for tracing. It may use
        the bijection up, which is a copy.
        """
        return self.constant()

    def fused_behind(self, before: Bijection) -> Bijection | None:
        """One layer for a GPU that replaces this one and the one before it in a chain; None if
        there is none.
        """
        return None

    def _require(self, name: str, shape: Shape | None, x: Tensor, context: Tensor | None) -> None:
        """Raise ValueError if data or latent, or the context, have the wrong shape."""
        if shape is not None:
            require_shape(self, name, x, shape)
        shape = self.context_shape(x)
        if shape is not None:
            require_shape(self, self._context_name, context, shape)


def require_shape(module: nn.Module, what: str, value: Tensor | None, shape: Shape) -> None:
    """Raise ValueError if a tensor is missing, or has the wrong shape.

    Args:
        module: The module that takes the tensor.
        what: The name of the tensor, for the message.
        value: The tensor; None if it is missing.
        shape: The expected shape.

    >>> require_shape(nn.Identity(), "x", torch.ones(2, 9), ("batch", Axis("time", multiple_of=4)))
    Traceback (most recent call last):
    ...
    ValueError: Identity: expected x of shape (batch, time), time a multiple of 4; got (2, 9)
    """
    if torch.jit.is_tracing():  # type: ignore[attr-defined]
        return  # sizes are traced values, and a traced program cannot branch on them
    name = type(module).__name__
    if value is None:
        raise ValueError(f"{name}: expected {what}; got None (shape {_in_words(shape)})")
    if not _fits(value.shape, shape):
        raise ValueError(
            f"{name}: expected {what} of shape {_in_words(shape)}; got {tuple(value.shape)}"
        )


def _fits(sizes: tuple[int, ...], shape: Shape) -> bool:
    if shape[-1] is ...:
        shape = shape[:-1]
        sizes = sizes[: len(shape)]
    if len(sizes) != len(shape):
        return False
    for size, axis in zip(sizes, shape, strict=True):
        if isinstance(axis, Axis):
            if not axis.fits(size):
                return False
        elif not isinstance(axis, str) and size != axis:
            return False
    return True


def _in_words(shape: Shape) -> str:
    names, rules = [], ""
    for axis in shape:
        if isinstance(axis, Axis):
            names.append(axis.name)
            if axis.multiple_of > 1:
                rules += f", {axis.name} a multiple of {axis.multiple_of}"
            if axis.least > 0:
                rules += f", {axis.name} at least {axis.least}"
            if axis.divides is not None:
                rules += f", {axis.name} a divisor of {axis.divides}"
        else:
            names.append("..." if axis is ... else str(axis))
    return f"({', '.join(names)}{',' * (len(names) == 1)}){rules}"


def _checked_forward(method: Callable[..., Any]) -> Callable[..., Any]:
    """``forward`` with a check of its arguments."""

    @functools.wraps(method)
    def forward(self: Bijection, x: Tensor, context: Tensor | None = None) -> Any:
        # a subclass may call this one with data of another shape than its own
        if type(self).forward is forward:
            self._require("x", self.x_shape(), x, context)
        return method(self, x, context)

    return _apart(forward)


def _checked_inverse(method: Callable[..., Any]) -> Callable[..., Any]:
    """``inverse`` with a check of its arguments."""

    @functools.wraps(method)
    def inverse(self: Bijection, z: Tensor, context: Tensor | None = None) -> Any:
        if type(self).inverse is inverse:
            self._require("z", self.z_shape(), z, context)
        return method(self, z, context)

    return _apart(inverse)


def _apart(method: Any) -> Any:
    """A method with its own code object: torch's compiler limits the programs for one of them."""
    method.__code__ = method.__code__.replace()
    return method


_CHECKED = {"forward": _checked_forward, "inverse": _checked_inverse}


class Chain(Bijection):
    r"""Bijections applied in list order; their log-determinants add.

    .. math:: z = f_n(\dots f_1(x)), \qquad \log|\det J| = \sum_i \log|\det J_i|

    >>> import torch
    >>> from waveflow.bijections import Chain, Squeeze, InvertibleConv1x1
    >>> chain = Chain(Squeeze(8), InvertibleConv1x1(8))
    >>> z, log_det = chain(torch.randn(2, 64))
    >>> z.shape, log_det.shape
    (torch.Size([2, 8, 8]), torch.Size([2]))
    """

    def __init__(self, *bijections: Bijection):
        super().__init__()
        self.bijections = nn.ModuleList(bijections)

    def x_shape(self) -> Shape | None:
        return cast(Bijection, self.bijections[0]).x_shape() if len(self.bijections) else None

    def z_shape(self) -> Shape | None:
        return cast(Bijection, self.bijections[-1]).z_shape() if len(self.bijections) else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        total = zero_log_det(x)
        for bijection in self.bijections:
            x, log_det = bijection(x, context)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        for bijection in reversed(self.bijections):
            z = cast(Bijection, bijection).inverse(z, context)
        return z

    def local_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        total = zero_log_det(x)[:, None]
        for bijection in self.bijections:
            x, parts = cast(Bijection, bijection).local_log_det(x, context)
            steps = max(total.shape[-1], parts.shape[-1])
            total = per_frame(total, steps) + per_frame(parts, steps)
        return x, total

    def stages(self, place: Place) -> PlacedStages:
        stages: list[Stage] = []
        for bijection in reversed(self.bijections):
            more, place = cast(Bijection, bijection).stages(place)
            stages += more
        return merged(stages), place

    def forward_stages(self, place: Place) -> PlacedStages:
        stages: list[Stage] = []
        for bijection in self.bijections:
            more, place = cast(Bijection, bijection).forward_stages(place)
            stages += more
        return merged(stages), place

    def fused(self) -> Bijection:
        layers: list[Bijection] = []
        for layer in self.bijections:
            bijection = cast(Bijection, layer)
            both = bijection.fused_behind(layers[-1]) if layers else None
            layers[len(layers) - (both is not None) :] = [both or bijection]
        return Chain(*layers)


class Inverse(Bijection):
    r"""Another bijection run backwards: :math:`z = g^{-1}(x)`, so
    :math:`\log|\det J| = -\log|\det J_g(z)|`.

    >>> import torch
    >>> from waveflow.bijections import Inverse, LappedTransform
    >>> coefficients = torch.randn(1, 16, 4)
    >>> audio, log_det = Inverse(LappedTransform(16))(coefficients)
    >>> audio.shape, log_det.item()
    (torch.Size([1, 64]), 0.0)
    """

    def __init__(self, bijection: Bijection):
        super().__init__()
        self.bijection = bijection
        self.volume_preserving = bijection.volume_preserving

    def x_shape(self) -> Shape | None:
        return self.bijection.z_shape()

    def z_shape(self) -> Shape | None:
        return self.bijection.x_shape()

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.bijection.inverse(x, context)
        if self.volume_preserving:
            return z, zero_log_det(x)
        return z, -self.bijection(z, context)[1]

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.bijection(z, context)[0]

    def local_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = self.bijection.inverse(x, context)
        return z, -self.bijection.local_log_det(z, context)[1]

    def stages(self, place: Place) -> PlacedStages:
        return self.bijection.forward_stages(place)

    def forward_stages(self, place: Place) -> PlacedStages:
        return self.bijection.stages(place)


def zero_log_det(x: Tensor) -> Tensor:
    """Zeros of shape (batch,) in float32 or better, on the device of ``x``."""
    return x.new_zeros(x.shape[0], dtype=torch.promote_types(x.dtype, torch.float32))


def per_frame(values: Tensor, frames: int) -> Tensor:
    """Sums of neighbours, or equal shares: (batch, n) -> (batch, frames), with the same total.

    Raises:
        ValueError: neither of ``n`` and ``frames`` is a multiple of the other.
    """
    count = values.shape[-1]
    if count % frames == 0:
        return values.unflatten(-1, (frames, count // frames)).sum(-1)
    if frames % count == 0:
        share = frames // count
        return values.repeat_interleave(share, dim=-1) / share
    raise ValueError(f"expected a multiple or a divisor of {frames} steps; got {count}")


def sum_per_example(x: Tensor) -> Tensor:
    """Sum all but the first axis, in float32 or better: (batch, ...) -> (batch,)."""
    return x.to(torch.promote_types(x.dtype, torch.float32)).flatten(1).sum(1)
