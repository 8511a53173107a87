"""What a model costs to run, whatever the machine: its multiplications."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from waveflow.checks import real


def gmacs_per_second(call: Callable[[], object], seconds: float) -> float:
    """Billions of multiply-accumulates (GMAC) for a second of audio.

    Convolutions and matrix products are counted, as torch counts them while ``call`` runs; not
    FFTs, solvers and inverses of matrices, nor elementwise work.

    Args:
        call: makes or reads the audio; is called once.
        seconds: duration of that audio, of all examples together.

    Raises:
        ValueError: ``seconds`` is not positive.

    >>> import torch
    >>> from torch import nn
    >>> layer = nn.Conv1d(10, 100, 3, padding=1)  # 3000 multiplications a step
    >>> gmacs_per_second(lambda: layer(torch.zeros(1, 10, 2000)), seconds=2.0)
    0.003
    """
    from torch.utils.flop_counter import flop_registry  # slow to import

    seconds = real(seconds, "seconds")
    if not seconds > 0:
        raise ValueError(f"gmacs_per_second: expected seconds above 0; got {seconds}")
    with _Counter(flop_registry) as counter:
        call()
    return counter.flop / 2 / 1e9 / seconds


class _Counter(TorchDispatchMode):
    """What ``FlopCounterMode`` counts, in inference mode, too, in which that one fails."""

    def __init__(self, formulas: dict[Any, Callable[..., int]]):
        super().__init__()
        self.formulas = formulas
        self.flop = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        formula = self.formulas.get(func._overloadpacket)
        if formula is None:  # composite operators are made of others
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.flop += formula(*args, **kwargs, out_val=result)
        return result
