"""Limits on what a file may unpack to, so that a small file cannot exhaust the memory.

Real files stay far below them: speech and silence compress, weights hardly do.
"""

from __future__ import annotations

from typing import NamedTuple


class Budget(NamedTuple):
    """A limit of ``room`` for any file, plus ``ratio`` for each of its bytes."""

    room: int
    ratio: int

    def of(self, stored: int) -> int:
        """The limit for a file of ``stored`` bytes."""
        return self.room + self.ratio * stored


NUMPY_ARCHIVE = Budget(2**26, 100)
"""Bytes of the arrays in an ``.npz``."""
SOUND = Budget(2**26, 100)
"""Samples of a recording."""
NEMO_ARCHIVE = Budget(2**20, 8)
"""Bytes of the members of a ``.nemo``."""
TENSORS = Budget(2**20, 4)
"""Bytes of the tensors in a file of torch; tensors may share bytes, as tied weights do."""
PARAMETERS = Budget(0, 32)
"""Bound on the number of parameters of a vocoder, from the bytes of its weights."""
