"""Limits of a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits that let many visitors share one small machine.

    Attributes:
        megabytes: largest upload, also after unpacking, in units of 2 ** 20 bytes.
        seconds: longest recording, or sound of a mel, in seconds.
        queue: requests that may wait; further ones are refused.
        group: largest number of recordings in a group of the latent's direction.
        consistency: largest number of iterations of mel consistency.
        kept_seconds: seconds after which uploads and results are deleted.
    """

    megabytes: int = 20
    seconds: float = 30.0
    queue: int = 100
    group: int = 6
    consistency: int = 64
    kept_seconds: int = 900
