"""The tab *About*: results, model cards, licence, how to cite."""

from __future__ import annotations

import gradio as gr

from waveflow.demo.backend import Backend
from waveflow.demo.texts import CITE, model_card, results
from waveflow.pretrained.hub import bundled
from waveflow.version import __version__


def add(backend: Backend) -> None:
    """Add the tab to the page."""
    limits = backend.limits
    gr.Markdown(
        f"waveflow {__version__}: a vocoder that is a normalizing flow. The same object "
        "synthesises, encodes, and computes the exact likelihood of a recording.\n\n"
        f"**This page** takes uploads of at most {limits.megabytes} MB and {limits.seconds:.0f} s. "
        f"It processes {backend.workers} requests at a time on the CPU; {limits.queue} more may "
        f"wait. Uploads and results are deleted after {limits.kept_seconds // 60} minutes. The "
        "page makes no requests to other servers.",
        elem_classes="wf-lead",
    )
    table = results()
    if table is not None:
        gr.Markdown(f"## Results\n\n{table}")
    gr.Markdown("## Models")
    for name in backend.names:
        if name in bundled():
            with gr.Accordion(name, open=name == backend.names[0]):
                gr.Markdown(model_card(name))
    gr.Markdown(f"## Licence and how to cite\n\n{CITE}")
