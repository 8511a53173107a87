"""The tab *Latent*: between recordings, in bands, along a direction."""

from __future__ import annotations

from functools import partial
from typing import Any

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

SCALE, SWAP = "scale it", "take it from B"
RECORDINGS = list(SOUNDS)


def add(backend: Backend) -> None:
    """Add the tab to the page."""
    gr.Markdown(
        "A flow turns a recording into *latents* and back without loss. Latents are as many "
        "numbers as the recording has samples, and look like white noise. Given the mel, they hold "
        "what the mel does not: phases and fine structure. Move them, and hear what they carry. "
        "All recordings of a walk are cut at their end to the length of the shortest.",
        elem_classes="wf-lead",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            one = controls.recording("Recording A: its mel is kept", "latent-a")
            other = controls.recording("Recording B", "latent-b")
            controls.clips([one, other])
        with gr.Column(min_width=300):
            model = controls.model_choice(backend)
            consistency = controls.iterations(
                backend, 0, "0: the flow alone, exact; more iterations undo part of the change"
            )
            between, band, along = _edit_controls()
    result, report, pictures = controls.results(
        "Where the walk ends", "latent", "Choose recordings and a walk."
    )
    outputs = [result, report, pictures]
    shared = [model, consistency, one]
    controls.answer(
        backend,
        between[0],
        partial(respond_between, backend),
        [*shared, other, *between[1:]],
        outputs,
        "interpolate",
    )
    controls.answer(
        backend,
        band[0],
        partial(respond_band, backend),
        [*shared, other, *band[1:]],
        outputs,
        "band",
    )
    controls.answer(
        backend,
        along[0],
        partial(respond_along, backend),
        [*shared, *along[1:]],
        outputs,
        "direction",
    )


def _edit_controls() -> tuple[list[Any], list[Any], list[Any]]:
    """One tab for each kind of change, with its button and its controls."""
    with gr.Tabs():
        with gr.Tab("Between A and B", id="between"):
            fraction = gr.Slider(
                0, 1, value=0.5, step=0.05, label="From A to B", info="along the great circle"
            )
            between = [gr.Button("Walk between", variant="primary", elem_id="between-button")]
        with gr.Tab("Bands", id="bands"):
            action = gr.Radio([SCALE, SWAP], value=SCALE, label="Action on the band")
            with gr.Row():
                low = gr.Slider(0, 100, value=0, step=5, label="Channels from", info="%")
                high = gr.Slider(0, 100, value=50, step=5, label="Channels to", info="%")
            factor = gr.Slider(0, 2, value=0.5, step=0.05, label="Factor", info="scale of the band")
            band = [gr.Button("Change the band", variant="primary", elem_id="band-button")]
        with gr.Tab("Direction", id="direction"):
            with gr.Row():
                groups = [
                    gr.File(
                        label=f"Group {name}",
                        file_count="multiple",
                        file_types=RECORDINGS,
                        elem_id=f"group-{name}",
                    )
                    for name in ("from", "to")
                ]
            clips = [str(path) for path in examples()]
            if len(clips) > 3:
                gr.Examples(
                    [[clips[:2], clips[2:4]]],
                    groups,
                    label="Example",
                    example_labels=["two and two"],
                )
            amount = gr.Slider(-2, 2, value=1, step=0.1, label="How far A moves")
            along = [gr.Button("Move A", variant="primary", elem_id="along-button")]
    return [*between, fraction], [*band, action, low, high, factor], [*along, *groups, amount]


def respond_between(
    backend: Backend, model: str, consistency: float, one: str, other: str, fraction: float
) -> tuple[str, str, str]:
    """The results of an interpolation from A to B, for the page."""
    return _shown(interpolate_recordings(backend, model, one, other, fraction, int(consistency)))


def respond_band(
    backend: Backend,
    model: str,
    consistency: float,
    one: str,
    other: str,
    action: str,
    low: float,
    high: float,
    factor: float,
) -> tuple[str, str, str]:
    """The results of a changed band, for the page."""
    if low >= high:
        raise ValueError(f"expected a band from low to high; got {low:g} to {high:g} %")
    band = (low / 100, high / 100)
    scaling = factor if action == SCALE else None
    return _shown(edit_band(backend, model, one, other, band, scaling, int(consistency)))


def respond_along(
    backend: Backend,
    model: str,
    consistency: float,
    one: str,
    group: list[str] | None,
    other: list[str] | None,
    amount: float,
) -> tuple[str, str, str]:
    """The results of a move along a direction, for the page."""
    return _shown(
        move_along_direction(backend, model, one, (group, other), amount, int(consistency))
    )


def _shown(edit: LatentEdit) -> tuple[str, str, str]:
    change = (edit.audio - edit.original).square().mean().sqrt()
    figures = [
        (f"{len(edit.audio) / edit.sample_rate:.1f}", "seconds"),
        (f"{edit.deviation:.3f}", "deviation of latent"),
        (f"{20 * change.clamp_min(1e-6).log10():.0f}".replace("-", "−"), "dB change"),
    ]
    draw = partial(sound_picture, sample_rate=edit.sample_rate)
    pictures = markup.pictures(
        [
            (draw(edit.original), "Recording A", "Spectrogram of recording A"),
            (draw(edit.audio), "Where the walk ends", f"Spectrogram of the result: {edit.note}"),
        ]
    )
    small = [
        f"{edit.note[:1].upper()}{edit.note[1:]}. The deviation of a model's own latents is 1; the "
        "change is the difference from recording A, in dB of full scale. 1×1 convolutions mix the "
        "channels of the latent, so a band of channels is not a band of frequencies."
    ]
    sound = controls.playable(edit.audio, edit.sample_rate)
    return sound, markup.tiles(figures) + markup.notes(small), pictures
