"""The page at the end of ``train.sh``: test clips, copies and baselines, to listen to."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from waveflow.io.signals import INTERRUPTED, end_when_interrupted, raise_when_interrupted

if __name__ == "__main__":
    end_when_interrupted()  # while modules load


from waveflow import Vocoder
from waveflow.cli.messages import report
from waveflow.devices import choose_device
from waveflow.evaluation import read_reports, write_page
from waveflow.io.paths import as_path
from waveflow.io.text import read_json


def listen(run: Path) -> Path:
    """Write ``listen/`` into a run that was evaluated; the path of its page."""
    content = read_json(run / "evaluation.json")
    report, baselines = read_reports(content)
    return write_page(
        run / "listen",
        report,
        Vocoder.from_pretrained(run / "model").to(choose_device("auto")),
        baselines=baselines,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a run, evaluated to evaluation.json")
    arguments = parser.parse_args()
    raise_when_interrupted()
    try:
        report(str(listen(as_path(arguments.run))))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"listen.py: error: {' '.join(str(error).split())}")
