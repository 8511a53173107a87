"""The page with all its tabs."""

from __future__ import annotations

import gradio as gr

from waveflow.demo import about_tab, latent_tab, likelihood_tab, vocode_tab
from waveflow.demo.backend import Backend

TITLE = "waveflow: speech from mel spectrograms"

HEAD = """\
<header class="wf-head"><h1>wave<span>flow</span></h1>
<p>A small vocoder that runs both ways: mel spectrogram to speech, and speech to its exact
likelihood.</p></header>"""


def build(backend: Backend) -> gr.Blocks:
    """Build the page of a backend; ``serve`` serves it."""
    page = gr.Blocks(
        title=TITLE,
        analytics_enabled=False,
        delete_cache=(60, backend.limits.kept_seconds),
    )
    with page:
        head = gr.HTML(HEAD, js_on_load=None)
        with gr.Tabs():
            for name, tab in TABS.items():
                with gr.Tab(name, id=name.lower()):
                    tab.add(backend)
    # gradio's folder now holds the examples, which must not be deleted like uploads
    head.keep_in_cache.update(*page.temp_file_sets)
    page.queue(max_size=backend.limits.queue, default_concurrency_limit=backend.workers)
    return page


TABS = {
    "Vocode": vocode_tab,
    "Latent": latent_tab,
    "Likelihood": likelihood_tab,
    "About": about_tab,
}
