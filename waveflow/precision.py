"""In which arithmetic things are done, whatever surrounds the call."""

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
    """Switch mixed precision off for arithmetic on which exact inversion depends."""
    return torch.autocast(x.device.type, enabled=False)


@contextmanager
def exact_convolutions(device: torch.device) -> Iterator[None]:
    """Convolutions of float32 in float32, as long as this lasts, on a CUDA device.

    cuDNN rounds their inputs to TF32, which has three digits, unless it is told not to. A bijection
    then undoes what it did by three digits as well.

    Args:
        device: where is computed; nothing changes for others than CUDA.
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
    """Who needs exact convolutions: torch's switch is one for all threads."""

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
    """What tables are made in: torch's default type, or float32 where that has less precision."""
    return single_or_better(torch.get_default_dtype())


class Durable(nn.Module):
    """A module whose tensors can be used in every mode, whatever mode they are moved or cast in.

    Tensors that are made in inference mode can be neither differentiated through nor watched. Here
    they are ordinary ones. Its tables, buffers that are not saved, keep float32 or better: in half
    precision, which weights may have, there is no Fourier transform.

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
    """``work(module, *arguments)``, where half weights are float32 and convolutions exact.

    Differentiable.

    Args:
        work: what is done with the module.
        module: with weights of any precision. Weights of half precision stay as they are, and a
            copy of the module has them in float32.
        *arguments: of the work.
    """
    with exact_convolutions(next(module.parameters()).device):
        return _in_single(work, module, *arguments)


def _in_single(work: Callable[..., _Result], module: nn.Module, *arguments: Any) -> _Result:
    if not has_half_weights(module):
        return work(module, *arguments)
    tensors = [*module.named_parameters(), *module.named_buffers()]
    weights = {f"module.{name}": _single(tensor) for name, tensor in tensors}
    called = _Work(work, copy.deepcopy(module))
    return cast(_Result, torch.func.functional_call(called, weights, arguments))


def single_copy(module: _Module) -> _Module:
    """The module, or if it has half weights, a copy with weights in float32."""
    return copy.deepcopy(module).float() if has_half_weights(module) else module


def has_half_weights(module: nn.Module) -> bool:
    """Whether a module has weights of less precision than float32."""
    return any(map(_is_half, module.parameters()))


def uncompiled(function: _Function) -> _Function:
    """Let ``torch.compile`` run a function, and all that it calls, as it is.

    torch's compiler is asked for by its callers alone: importing it takes seconds.
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


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if _is_half(tensor) else tensor
