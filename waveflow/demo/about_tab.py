"""The tab *About*: results, model cards, licence, how to cite."""

from __future__ import annotations

import gradio as gr

from waveflow.demo.studio import Studio
from waveflow.demo.texts import CITE, model_card, results
from waveflow.pretrained.hub import bundled
from waveflow.version import __version__


def add(studio: Studio) -> None:
    """Lay the tab out, inside the page."""
    limits = studio.limits
    gr.Markdown(
        f"waveflow {__version__}: a vocoder that is a normalizing flow, so that one object "
        "synthesises, encodes, and tells the exact likelihood of a recording.\n\n"
        f"**This page** takes {limits.megabytes} MB and {limits.seconds:.0f} s at a time, computes "
        f"{studio.workers} requests at once on the CPU, lets {limits.queue} wait, deletes uploads "
        f"and results after {limits.kept_seconds // 60} minutes, and asks nothing of any other "
        "server.",
        elem_classes="wf-lead",
    )
    found = results()
    if found is not None:
        gr.Markdown(f"## Results\n\n{found}")
    gr.Markdown("## Models")
    for name in studio.names:
        if name in bundled():
            with gr.Accordion(name, open=name == studio.names[0]):
                gr.Markdown(model_card(name))
    gr.Markdown(f"## Licence and how to cite\n\n{CITE}")
