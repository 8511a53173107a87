"""Count the multiplications of a model."""

from __future__ import annotations

from collections.abc import Callable

from waveflow.checks import real


def gmacs_per_second(call: Callable[[], object], seconds: float) -> float:
    """Billions of multiply-accumulates (GMAC) per second of audio.

    Convolutions and matrix products are counted by torch while ``call`` runs. FFTs, solvers,
    matrix inverses and elementwise operations are not counted.

    Args:
        call: function that makes or reads the audio; it is called once.
        seconds: duration of that audio, over all examples.

    Raises:
        ValueError: ``seconds`` is not positive.

    >>> import torch
    >>> from torch import nn
    >>> layer = nn.Conv1d(10, 100, 3, padding=1)  # 3000 multiplications per step
    >>> gmacs_per_second(lambda: layer(torch.zeros(1, 10, 2000)), seconds=2.0)
    0.003
    """
    from torch.utils.flop_counter import FlopCounterMode  # slow to import

    seconds = real(seconds, "seconds")
    if not seconds > 0:
        raise ValueError(f"gmacs_per_second: expected seconds above 0; got {seconds}")
    with FlopCounterMode(display=False) as counter:
        # the count by modules is not used, and fails on weight norm in inference mode
        counter.mod_tracker.__exit__()
        call()
    return counter.get_total_flops() / 2 / 1e9 / seconds
