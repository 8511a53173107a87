"""Controls that several tabs use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr
from gradio.utils import get_upload_folder
from torch import Tensor

from waveflow.audio.writing import write_audio
from waveflow.demo.backend import Backend
from waveflow.demo.errors import report_errors
from waveflow.demo.texts import examples

EMPTY = '<div class="wf-empty">{}</div>'


def recording(name: str, hint: str) -> gr.Audio:
    """A control to upload or record a recording."""
    return gr.Audio(
        label=name,
        sources=["upload", "microphone"],
        type="filepath",
        buttons=[],
        elem_id=hint,
        waveform_options=gr.WaveformOptions(
            waveform_color="#94a3b8", waveform_progress_color="#0d9488"
        ),
    )


def player(name: str, hint: str) -> gr.Audio:
    """A control to play and download a result."""
    return gr.Audio(
        label=name,
        interactive=False,
        type="filepath",
        format="wav",
        buttons=["download"],
        elem_id=hint,
        waveform_options=gr.WaveformOptions(
            waveform_color="#94a3b8", waveform_progress_color="#0d9488"
        ),
    )


def results(name: str, tab: str, hint: str) -> tuple[gr.Audio, gr.HTML, gr.HTML]:
    """The results of a tab: a player beside figures, and pictures below."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            sound = player(name, f"{tab}-result")
        with gr.Column(min_width=300):
            report = gr.HTML(EMPTY.format(hint), elem_id=f"{tab}-report", js_on_load=None)
    pictures = gr.HTML(elem_id=f"{tab}-pictures", js_on_load=None)
    return sound, report, pictures


def model_choice(backend: Backend) -> gr.Dropdown:
    """A control to choose one of the backend's vocoders."""
    return gr.Dropdown(backend.names, value=backend.names[0], label="Model", filterable=False)


def iterations(backend: Backend, value: int, info: str) -> gr.Slider:
    """A control for the number of iterations of mel consistency."""
    return gr.Slider(
        0,
        backend.limits.consistency,
        value=value,
        step=1,
        precision=0,
        label="Consistency",
        info=info,
    )


def clips(inputs: list[gr.Audio]) -> None:
    """Example recordings from the repository; none if only the package is installed."""
    paths = [str(path) for path in examples()]
    if not paths:
        return
    count = len(inputs)
    rows = [(paths * 2)[at : at + count] for at in range(0, len(paths), count)]
    labels = [" and ".join(Path(path).stem for path in row) for row in rows]
    gr.Examples(rows, inputs, example_labels=labels, label="Examples")


def answer(
    backend: Backend,
    button: gr.Button,
    work: Callable[..., Any],
    inputs: list[gr.components.Component],
    outputs: list[gr.components.Component],
    name: str,
) -> None:
    """Make a button run ``work`` in the backend's pool."""

    def respond(*values: Any) -> Any:
        return backend.run(partial(work, *values))

    respond.__name__ = name
    button.click(
        report_errors(respond),
        inputs,
        outputs,
        api_name=name,
        concurrency_limit=backend.workers,
        concurrency_id="backend",
        show_progress="minimal",
        show_progress_on=outputs[1],
    )


def playable(audio: Tensor, sample_rate: int) -> str:
    """Write a sound as WAV to gradio's folder, which deletes it later; the result is the path.

    The name is unique. If the name came from the content, two visitors with the same sound would
    share the file, and one could fetch it while it is being written for the other.
    """
    path = Path(get_upload_folder()) / f"speech-{uuid4().hex[:12]}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, audio.cpu(), sample_rate)
    return str(path)
