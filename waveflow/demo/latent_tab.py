"""The tab *Latent*: between recordings, in bands, along a direction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import gradio as gr

from waveflow.demo import controls, markup
from waveflow.demo.backend import Backend
from waveflow.demo.latent_edits import (
    LatentEdit,
    edit_band,
    interpolate_recordings,
    move_along_direction,
)
from waveflow.demo.pictures import sound_picture
from waveflow.demo.texts import examples
from waveflow.io.folders import SOUNDS

Edit: TypeAlias = tuple[str, Callable[..., LatentEdit], gr.Button, list[gr.components.Component]]
"""The name of a change, its computation, and the button and the inputs of its own."""

SCALE, SWAP = "scale it", "take it from B"
RESULT = "The changed recording"


def add(backend: Backend) -> None:
    """Add the tab to the page."""
    gr.Markdown(
        "A flow turns a recording into *latents* and back without loss. Latents are as many "
        "numbers as the recording has samples, and look like white noise. Given the mel, they hold "
        "what the mel does not: phases and fine structure. Change them, and hear what they carry. "
        "All recordings are cut at their end to the length of the shortest.",
        elem_classes="wf-lead",
    )
    with gr.Row():
        with gr.Column(min_width=300):
            one = controls.recording("Recording A: its mel is kept", "latent-a")
            other = controls.recording("Recording B", "latent-b")
            controls.clips([one, other])
        with gr.Column(min_width=300):
            model = controls.model_choice(backend)
            consistency = controls.iterations(
                backend, 0, "0: the flow alone, exact; more iterations undo part of the change"
            )
            with gr.Tabs():
                edits = [_interpolation(one, other), _bands(one, other), _move(one)]
    outputs = controls.results(RESULT, "latent", "Choose recordings, and change the latent.")
    for name, edit, button, inputs in edits:
        controls.answer(
            backend, button, partial(respond, edit), [model, *inputs, consistency], outputs, name
        )


def _interpolation(one: gr.Audio, other: gr.Audio) -> Edit:
    with gr.Tab("Between A and B", id="between"):
        fraction = gr.Slider(
            0, 1, value=0.5, step=0.05, label="From A to B", info="along the great circle"
        )
        button = gr.Button("Interpolate", variant="primary", elem_id="between-button")
    return "interpolate", interpolate_recordings, button, [one, other, fraction]


def _bands(one: gr.Audio, other: gr.Audio) -> Edit:
    with gr.Tab("Bands", id="bands"):
        action = gr.Radio([SCALE, SWAP], value=SCALE, label="Action on the band")
        with gr.Row():
            low = gr.Slider(0, 100, value=0, step=5, label="Channels from", info="%")
            high = gr.Slider(0, 100, value=50, step=5, label="Channels to", info="%")
        factor = gr.Slider(0, 2, value=0.5, step=0.05, label="Factor", info="scale of the band")
        button = gr.Button("Change the band", variant="primary", elem_id="band-button")
    return "band", _edit_chosen_band, button, [one, other, low, high, action, factor]


def _edit_chosen_band(
    backend: Backend,
    model: str,
    one: str | None,
    other: str | None,
    low: float,
    high: float,
    action: str,
    factor: float,
    consistency: int,
) -> LatentEdit:
    band, scale = (low / 100, high / 100), factor if action == SCALE else None
    return edit_band(backend, model, one, other, band, scale, consistency)


def _move(one: gr.Audio) -> Edit:
    with gr.Tab("Direction", id="direction"):
        with gr.Row():
            groups = [
                gr.File(
                    label=f"Group {name}",
                    file_count="multiple",
                    file_types=list(SOUNDS),
                    elem_id=f"group-{name}",
                )
                for name in ("from", "to")
            ]
        clips = examples()
        if len(clips) > 3:
            pairs = [clips[:2], clips[2:4]]
            gr.Examples([pairs], groups, label="Example", example_labels=["two and two"])
        amount = gr.Slider(-2, 2, value=1, step=0.1, label="How far A moves")
        button = gr.Button("Move A", variant="primary", elem_id="along-button")
    return "direction", move_along_direction, button, [one, *groups, amount]


def respond(
    edit: Callable[..., LatentEdit], backend: Backend, *values: Any
) -> tuple[str, str, str]:
    """The sound of a changed latent, its figures and its pictures, for the page."""
    edited = edit(backend, *values)
    change = (edited.audio - edited.original).square().mean().sqrt()
    figures = [
        (f"{len(edited.audio) / edited.sample_rate:.1f}", "seconds"),
        (f"{edited.deviation:.3f}", "deviation of latent"),
        (f"{20 * change.clamp_min(1e-6).log10():.0f}", "dB change"),
    ]
    note = (
        f"{edited.note[:1].upper()}{edited.note[1:]}. The deviation of a model's own latents is 1; "
        "the change is the difference from recording A, in dB of full scale. 1×1 convolutions mix "
        "the channels of the latent, so a band of channels is not a band of frequencies."
    )
    draw = partial(sound_picture, sample_rate=edited.sample_rate)
    pictures = markup.pictures(
        [
            (draw(edited.original), "Recording A", "Spectrogram of recording A"),
            (draw(edited.audio), RESULT, f"Spectrogram of the result: {edited.note}"),
        ]
    )
    sound = controls.playable(edited.audio, edited.sample_rate)
    return sound, markup.report(figures, [note]), pictures
