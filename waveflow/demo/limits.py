"""What a visitor may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """So that many can share one small machine.

    Attributes:
        megabytes: of an upload, and of what it unpacks to; 2 ** 20 bytes each.
        seconds: of a recording, or of the sound of a mel.
        queue: requests that may wait; more are turned away.
        group: recordings in a group of the latent's direction.
        consistency: iterations of mel consistency.
        kept_seconds: after which uploads and results are deleted.
    """

    megabytes: int = 20
    seconds: float = 30.0
    queue: int = 100
    group: int = 6
    consistency: int = 64
    kept_seconds: int = 900
