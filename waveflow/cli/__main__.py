"""``python -m waveflow.cli``, the same as ``python -m waveflow``."""

import sys

from waveflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
