"""What a model costs to run, whatever the machine: its multiplications."""

from __future__ import annotations

from collections.abc import Callable

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
    from torch.utils.flop_counter import FlopCounterMode  # slow to import

    seconds = real(seconds, "seconds")
    if not seconds > 0:
        raise ValueError(f"gmacs_per_second: expected seconds above 0; got {seconds}")
    with FlopCounterMode(display=False) as counter:
        # its count by modules, which is not used, fails on weight norm in inference mode
        counter.mod_tracker.__exit__()
        call()
    return counter.get_total_flops() / 2 / 1e9 / seconds
