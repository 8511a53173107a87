"""The page at the end of ``train.sh``: test clips, copies and baselines, to listen to."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from waveflow import Vocoder
from waveflow.devices import choose_device
from waveflow.evaluation import read_reports, write_page


def listen(run: Path) -> Path:
    """Write ``listen/`` into a run that was evaluated; the path of its page."""
    content = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    report, baselines = read_reports(content)
    return write_page(
        run / "listen",
        report,
        Vocoder.from_pretrained(run / "model").to(choose_device("auto")),
        baselines=baselines,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, evaluated to evaluation.json")
    try:
        print(listen(parser.parse_args().run))
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"listen.py: error: {' '.join(str(error).split())}")
