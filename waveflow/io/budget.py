"""How much more a file may unpack to than it holds, so that a small one cannot ask for everything.

Real files stay far below: speech and silence compress, weights hardly do.
"""

from __future__ import annotations

from typing import NamedTuple


class Budget(NamedTuple):
    """What every file may have, and how much more for each byte that it holds."""

    room: int
    ratio: int

    def of(self, stored: int) -> int:
        """The most that a file of ``stored`` bytes may unpack to."""
        return self.room + self.ratio * stored


NUMPY_ARCHIVE = Budget(2**26, 100)
"""Bytes of the arrays in an ``.npz``."""
SOUND = Budget(2**26, 100)
"""Samples of a recording."""
NEMO_ARCHIVE = Budget(2**20, 8)
"""Bytes of the members of a ``.nemo``."""
TENSORS = Budget(2**20, 4)
"""Bytes of the tensors in a file of torch, which may share theirs: tied weights, flat buffers."""
PARAMETERS = Budget(0, 32)
"""A bound of the parameters of a vocoder's config, for each byte that its weights take."""
