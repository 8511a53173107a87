"""A pretend GPU: tensors that hold real values and claim to be on ``cuda:0``.

Their storages are on the CPU and are marked. Marked tensors say that they are on the GPU, refuse to
mix with others as CUDA refuses, and pass the mark on to what is computed from them, forwards and
backwards. So a machine without a GPU finds constants that stay behind, and counts what a GPU would
be asked to do. Streams, pinned memory, several devices, memory and time are not pretended.
"""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from traceback import walk_stack
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from waveflow.bijections import long_term

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")

COPIES = {"copy_", "_to_copy"}
MIXING = {*COPIES, "index", "index_put_", "_index_put_impl_"}
"""Operators that take tensors of both devices; the result is where the first one is."""

NO_KERNELS = ("empty", "new_empty", "resize", "set_", "detach", "_unsafe_view")
"""How operators begin that only find memory, or look at it otherwise."""

WAITING = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select"} | {
    "_linalg_check_errors",
    "repeat_interleave",
}
"""Operators whose result the host must know before it goes on. The last one only with counts in a
tensor, as its overload ``Tensor``."""

CLAIMS = {
    "is_available": True,
    "device_count": 1,
    "current_device": 0,
    "get_device_name": "pretended",
    "get_device_capability": (9, 0),
    "is_current_stream_capturing": False,
    "is_bf16_supported": True,
    "_lazy_init": None,
    "set_device": None,
    "synchronize": None,
    "empty_cache": None,
}
"""What functions of ``torch.cuda`` return."""

ROOT = Path(__file__).parents[1]
OURS = str(ROOT / "waveflow"), str(ROOT / "b")
"""How the paths of the package's and the benchmarks' modules begin."""


@dataclass
class Counts:
    """What the GPU was asked to do.

    Attributes:
        kernels: operators that compute; views and allocations are none.
        waits: times that the host waited for a result, by the line that did.
        uploads: copies of tensors from the host, by the line that did.
    """

    kernels: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Begin anew."""
        for counter in (self.kernels, self.waits, self.uploads):
            counter.clear()


class Marks:
    """The storages that are on the pretend GPU. They stay there: caches may keep them."""

    def __init__(self) -> None:
        self._marked: dict[int, StorageWeakRef] = {}

    def there(self, x: object) -> bool:
        """Whether a tensor is on the GPU."""
        return isinstance(x, Tensor) and _storage(x)._cdata in self._marked

    def mark(self, x: object) -> object:
        """Put a tensor there. The weak reference keeps its address from being given again."""
        if isinstance(x, Tensor):
            storage = _storage(x)
            self._marked.setdefault(storage._cdata, StorageWeakRef(storage))
        return x

    def forget(self) -> None:
        """Let go of the addresses of those that are no more."""
        for address in [key for key, storage in self._marked.items() if storage.expired()]:
            del self._marked[address]


MARKS = Marks()


def _storage(x: Tensor) -> torch.UntypedStorage:
    with torch._C.DisableTorchFunction():
        return x.untyped_storage()


def _line() -> str:
    """The line of this repository that is at work; of a library's, where none of ours is."""
    stack = [(f.f_code.co_filename, number) for f, number in walk_stack(sys._getframe())]
    frames = [frame for frame in stack if frame[0] != __file__]  # the innermost is the first
    ours = [frame for frame in frames if frame[0].startswith(OURS)]
    path, number = (ours or [f for f in frames if "/torch/" not in f[0]] or frames)[0]
    return f"{Path(path).name}:{number} {linecache.getline(path, number).strip()}"


@cache
def _is_composite(func: torch._ops.OpOverload) -> bool:
    """Whether an operator is made of others."""
    key = "CompositeImplicitAutograd"
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key)


def _tensors(values: Iterable[object]) -> Iterator[Tensor]:
    """The tensors among the arguments or results of an operator, and in their lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


class Operators(TorchDispatchMode):
    """Below autograd: refuses what does not fit together, hands marks on, counts."""

    def __init__(self, marks: Marks, counts: Counts):
        super().__init__()
        self.marks, self.counts = marks, counts

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if _is_composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        tensors = [*_tensors(args), *_tensors(kwargs.values())]
        there = [self.marks.there(x) for x in tensors]
        if any(there) and name not in MIXING:
            # a number in a tensor without axes goes along with the others
            stray = [x for x, on in zip(tensors, there, strict=True) if x.dim() and not on]
            if stray:
                raise RuntimeError(
                    f"Expected all tensors to be on the same device; got {func} of shapes "
                    f"{[tuple(x.shape) for x in stray]} on the CPU"
                )
        if any(there):
            self._count(func, name, there)
        out = func(*args, **kwargs)
        if self.marks.there(args[0]) if name in MIXING else any(there):
            for x in _tensors([out]):
                self.marks.mark(x)
        return out

    def _count(self, func: torch._ops.OpOverload, name: str, there: list[bool]) -> None:
        if name == "copy_" and there[0] != there[1]:
            (self.counts.uploads if there[0] else self.counts.waits)[_line()] += 1
            return
        overload = func._overloadname
        if name in WAITING and (name != "repeat_interleave" or "Tensor" in overload):
            self.counts.waits[_line()] += 1
        aliases = [x.alias_info for x in func._schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in aliases)
        if not is_view and not name.startswith((*NO_KERNELS, *WAITING)):
            self.counts.kernels[name] += 1


class Functions(TorchFunctionMode):
    """Above autograd: what Python is told of a tensor's device, and moves between devices."""

    def __init__(self, marks: Marks, counts: Counts):
        super().__init__()
        self.marks, self.counts = marks, counts

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        there = bool(args) and self.marks.there(args[0])
        if func == Tensor.device.__get__:
            return CUDA if there else func(*args)
        if func == Tensor.is_cuda.__get__:
            return there
        if func in (Tensor.numpy, Tensor.__array__) and there:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if func in (Tensor.data_ptr, Tensor.get_device) and there:
            return func(*args) if func == Tensor.data_ptr else 0
        if func == Tensor.tolist and there:
            self.counts.waits[_line()] += 1
        if func in (Tensor.to, Tensor.cpu, Tensor.cuda):
            wishes = [*args[1:], *kwargs.values()]
            wishes += {Tensor.cpu: [CPU], Tensor.cuda: [CUDA]}.get(func, [])
            return self._moved(args[0], wishes)
        device = kwargs.get("device")
        if device is not None and torch.device(device).type == "cuda":
            source = args[0] if args and func in (torch.tensor, torch.as_tensor) else None
            if source is not None and not self.marks.there(source):
                self.counts.uploads[_line()] += 1
            return self.marks.mark(func(*args, **{**kwargs, "device": "cpu"}))
        return func(*args, **kwargs)

    def _moved(self, x: Tensor, wishes: list[object]) -> Tensor:
        """``x.to(*wishes)``."""
        device = dtype = None
        copy = False
        for wish in wishes:
            if isinstance(wish, Tensor):
                device, dtype = (CUDA if self.marks.there(wish) else CPU), wish.dtype
            elif isinstance(wish, torch.dtype):
                dtype = wish
            elif isinstance(wish, str | torch.device):
                device = torch.device(wish)
        there = self.marks.there(x)
        if device is not None and (device.type == "cuda") != there:
            (self.counts.waits if there else self.counts.uploads)[_line()] += 1
            with torch._C.DisableTorchFunction(), _disable_current_modes():
                x = x.clone()
            if not there:
                self.marks.mark(x)
        return x if dtype in (None, x.dtype) and not copy else x.to(dtype)


@contextmanager
def pretend_cuda() -> Iterator[Counts]:
    """A machine with one GPU, until the end of the block.

    >>> with pretend_cuda() as counts:
    ...     x = torch.ones(3, device="cuda")
    ...     y = (2 * x).sum()
    >>> counts.kernels.total()
    2
    """
    marks, counts = MARKS, Counts()
    functions = Functions(marks, counts)
    plain = {
        "backward": torch.autograd._engine_run_backward,
        "autocast": torch.autocast.__init__,
        "module": torch.nn.Module.to,
        "group": torch._C._group_tensors_by_device_and_dtype,
        "enabled": torch.is_autocast_enabled,
        "dtype": torch.get_autocast_dtype,
    }

    def backward(*args, **options):  # what is written in Python must see the mode, too
        with functions:
            return plain["backward"](*args, **options)

    def group(tensors, *args):
        device = CUDA if any(map(marks.there, _tensors(tensors))) else CPU
        found = plain["group"](tensors, *args)
        return {(device, dtype): value for (_, dtype), value in found.items()}

    def move(module, *args, **options):
        wishes = [(x.device, x.dtype) if isinstance(x, Tensor) else (x,) for x in args]
        return plain["module"](module, *(wish for pair in wishes for wish in pair), **options)

    def autocast(self, device_type, *args, **options):
        plain["autocast"](self, "cpu", *args, **options)

    patches = [
        (torch.autograd, "_engine_run_backward", backward),
        (torch._C, "_group_tensors_by_device_and_dtype", group),
        (torch.nn.Module, "to", move),
        (torch.autocast, "__init__", autocast),
        (torch, "is_autocast_enabled", lambda device_type: plain["enabled"]("cpu")),
        (torch, "get_autocast_dtype", lambda device_type: plain["dtype"]("cpu")),
        (torch.accelerator, "is_available", lambda: False),  # so no memory is pinned
        (long_term, "find_spec", lambda name: None),  # no Triton
    ]
    for name, value in CLAIMS.items():
        patches.append((torch.cuda, name, lambda *_, value=value, **__: value))
    with ExitStack() as stack:
        for owner, name, value in patches:
            stack.enter_context(mock.patch.object(owner, name, value))
        stack.enter_context(Operators(marks, counts))
        stack.enter_context(functions)
        stack.callback(marks.forget)
        yield counts
