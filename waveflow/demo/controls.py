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

WAVEFORM = gr.WaveformOptions(waveform_color="#94a3b8", waveform_progress_color="#0d9488")


def recording(name: str, place: str) -> gr.Audio:
    """A control to upload or record a recording."""
    return gr.Audio(
        label=name,
        sources=["upload", "microphone"],
        type="filepath",
        buttons=[],
        elem_id=place,
        waveform_options=WAVEFORM,
    )


def player(name: str, tab: str) -> gr.Audio:
    """A control to play and download the result of a tab."""
    return gr.Audio(
        label=name,
        interactive=False,
        type="filepath",
        format="wav",
        buttons=["download"],
        elem_id=f"{tab}-result",
        waveform_options=WAVEFORM,
    )


def report(tab: str, hint: str) -> gr.HTML:
    """The figures of a tab's result; at first a hint."""
    empty = f'<div class="wf-empty">{hint}</div>'
    return gr.HTML(empty, elem_id=f"{tab}-report", js_on_load=None)


def results(name: str, tab: str, hint: str) -> list[gr.components.Component]:
    """The results of a tab: a player beside figures, and pictures below."""
    with gr.Row():
        with gr.Column(min_width=300):
            sound = player(name, tab)
        with gr.Column(min_width=300):
            figures = report(tab, hint)
    pictures = gr.HTML(elem_id=f"{tab}-pictures", js_on_load=None)
    return [sound, figures, pictures]


def model_choice(backend: Backend) -> gr.Dropdown:
    """A control to choose one of the backend's vocoders."""
    return gr.Dropdown(backend.names, value=backend.names[0], label="Model", filterable=False)


def iterations(backend: Backend, value: int, info: str) -> gr.Slider:
    """A control for the number of iterations of mel consistency."""
    most = backend.limits.consistency
    return gr.Slider(0, most, value=value, step=1, precision=0, label="Consistency", info=info)


def clips(inputs: list[gr.Audio]) -> None:
    """Example recordings from the repository; none if only the package is installed."""
    paths, count = examples(), len(inputs)
    if not paths:
        return
    rows = [(paths * 2)[at : at + count] for at in range(0, len(paths), count)]
    labels = [" and ".join(Path(path).stem for path in row) for row in rows]
    gr.Examples(rows, inputs, example_labels=labels, label="Examples")


def follow(
    control: gr.Radio | gr.Dropdown,
    function: Callable[[str], Any],
    outputs: list[gr.components.Component],
) -> None:
    """Update controls when the value of another changes."""
    control.change(
        function,
        control,
        outputs,
        queue=False,
        api_visibility="private",
        show_progress="hidden",
    )


def answer(
    backend: Backend,
    button: gr.Button,
    work: Callable[..., Any],
    inputs: list[gr.components.Component],
    outputs: list[gr.components.Component],
    name: str,
) -> None:
    """Make a button run ``work(backend, *inputs)`` in the backend's pool."""

    def respond(*values: Any) -> Any:
        return backend.run(partial(work, backend, *values))

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
