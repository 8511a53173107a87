"""Control of the precision of computations, independent of the caller's settings."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Result = TypeVar("_Result")
_Module = TypeVar("_Module", bound=nn.Module)


def full_precision(x: Tensor) -> AbstractContextManager[None]:
    """Switch mixed precision off for arithmetic that must be inverted exactly."""
    return torch.autocast(x.device.type, enabled=False)


@contextmanager
def exact_convolutions(device: torch.device) -> Iterator[None]:
    """A context in which convolutions of float32 on a CUDA device are computed in float32.

    By default cuDNN rounds their inputs to TF32, which has three digits. A bijection is then
    inverted to three digits only.

    Args:
        device: The device of the computation; only CUDA devices are affected.
    """
    if device.type != "cuda":
        yield
        return
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    with _Exact.lock:
        if not _Exact.users:
            _Exact.before = convolutions.fp32_precision
            convolutions.fp32_precision = "ieee"
        _Exact.users += 1
    try:
        yield
    finally:
        with _Exact.lock:
            _Exact.users -= 1
            if not _Exact.users:
                convolutions.fp32_precision = _Exact.before


class _Exact:
    """The number of contexts that need exact convolutions: torch has one switch for all threads."""

    lock = threading.Lock()
    users = 0
    before = ""


def single_or_better(dtype: torch.dtype) -> torch.dtype:
    """A floating-point type itself, or float32 where it has less precision.

    >>> single_or_better(torch.bfloat16), single_or_better(torch.float64)
    (torch.float32, torch.float64)
    """
    return torch.float32 if torch.finfo(dtype).bits < 32 else dtype


def default_precision() -> torch.dtype:
    """The type of tables: torch's default type, or float32 where that has less precision."""
    return single_or_better(torch.get_default_dtype())


class Durable(nn.Module):
    """A module whose tensors are ordinary ones even if they are moved or cast in inference mode.

    Tensors made in inference mode have no gradients and no version counter. Tables, which are
    buffers that are not saved, keep float32 or better if the module is cast to half precision,
    because there is no Fourier transform in half precision.

    >>> table = Durable()
    >>> table.register_buffer("ones", torch.ones(2, dtype=torch.float32), persistent=False)
    >>> table.half().ones.dtype, table.double().ones.dtype
    (torch.float32, torch.float64)
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        before = {name: self._buffers[name] for name in self._non_persistent_buffers_set}
        with torch.inference_mode(False):
            super()._apply(fn, recurse)
            for name, table in before.items():
                after = self._buffers[name]
                if table is not None and after is not None and _is_half(after):
                    self._buffers[name] = table.to(after.device, torch.float32)
        return self


def in_single(work: Callable[..., _Result], module: nn.Module, *arguments: Any) -> _Result:
    """``work(module, *arguments)`` with half-precision weights in float32 and exact convolutions.

    Differentiable.

    Args:
        work: The function of the module.
        module: The module, with weights of any precision. Weights of half precision stay as they
            are, and a copy of the module has them in float32.
        *arguments: The other arguments of the function.
    """
    with exact_convolutions(next(module.parameters()).device):
        if not has_half_weights(module):
            return work(module, *arguments)
        tensors = [*module.named_parameters(), *module.named_buffers()]
        weights = {
            f"module.{name}": tensor.float() if _is_half(tensor) else tensor
            for name, tensor in tensors
        }
        called = _Work(work, copy.deepcopy(module))
        return cast(_Result, torch.func.functional_call(called, weights, arguments))


def single_copy(module: _Module) -> _Module:
    """The module itself, or a copy in float32 if it has half-precision weights."""
    return copy.deepcopy(module).float() if has_half_weights(module) else module


def has_half_weights(module: nn.Module) -> bool:
    """Whether a module has weights with less precision than float32."""
    return any(map(_is_half, module.parameters()))


def uncompiled(function: _Function) -> _Function:
    """Exclude a function, and all that it calls, from ``torch.compile``.

    torch's compiler is imported only if it is in use, because the import takes seconds.
    """

    @functools.wraps(function)
    def called(*arguments: Any, **options: Any) -> Any:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(function)(*arguments, **options)
        return function(*arguments, **options)

    return cast(_Function, called)


class _Work(nn.Module):
    """A function of a module as a module."""

    def __init__(self, work: Callable[..., Any], module: nn.Module):
        super().__init__()
        self.work, self.module = work, module

    def forward(self, *arguments: Any) -> Any:
        return self.work(self.module, *arguments)


def _is_half(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and single_or_better(tensor.dtype) != tensor.dtype
