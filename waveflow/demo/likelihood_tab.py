"""The tab *Likelihood*: the likelihood of a recording, frame by frame."""

from __future__ import annotations

import gradio as gr

from waveflow.demo import controls, markup
from waveflow.demo.backend import Backend
from waveflow.demo.inspection import DAMAGES, UNDAMAGED, Inspection, inspect_recording, smooth
from waveflow.demo.pictures import curve_picture
from waveflow.evaluation.recording import bits_per_sample


def add(backend: Backend) -> None:
    """Add the tab to the page."""
    gr.Markdown(
        "The exact log-likelihood of a recording is a sum over its frames. **Nats per sample**: "
        "high where sound is quiet or simple. **Surprise**: how far a frame is from what the model "
        "would draw given the same mel. Near 0 is ordinary; far above 0 is unusual for the model: "
        "clipped, noisy, or unlike its training data. This is a diagnostic, not a verdict: an "
        "unusual frame need not be bad, and an ordinary one need not be good.",
        elem_classes="wf-lead",
    )
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            audio = controls.recording("Recording", "likelihood-recording")
            controls.clips([audio])
            model = controls.model_choice(backend)
            damage = gr.Radio(
                [UNDAMAGED, *DAMAGES],
                value=UNDAMAGED,
                label="Middle second",
                info="damage it, and see whether the curve shows it",
            )
            button = gr.Button("Measure", variant="primary", elem_id="likelihood-button")
        with gr.Column(scale=8, min_width=300):
            sound = controls.player("What was measured", "likelihood")
            report = controls.report(
                "likelihood", "Choose an example or bring your own, and press Measure."
            )
    controls.answer(backend, button, respond, [audio, model, damage], [sound, report], "likelihood")


def respond(backend: Backend, audio: str | None, model: str, damage: str) -> tuple[str, str]:
    """The measured audio and its curves, for the page."""
    inspection = inspect_recording(backend, model, audio, damage)
    return controls.playable(inspection.audio, inspection.sample_rate), describe(inspection)


def describe(inspection: Inspection) -> str:
    """The figures and the picture of an inspection, as HTML."""
    nats = inspection.nats.mean().item()
    surprise = smooth(inspection.surprise)
    highest = surprise.max().item()
    strangest = (surprise.argmax().item() + 0.5) * inspection.hop_length / inspection.sample_rate
    figures = [
        (f"{nats:.3f}", "nats/sample"),
        (f"{bits_per_sample(nats):.3f}", "bits/sample"),
        (f"{inspection.surprise.mean().item():+.3f}", "mean surprise"),
        (f"{highest:.2f}", f"highest, at {strangest:.1f} s"),
    ]
    picture = curve_picture(
        inspection.audio,
        smooth(inspection.nats),
        surprise,
        sample_rate=inspection.sample_rate,
        span=inspection.damaged,
    )
    caption = "Spectrogram with nats per sample; below, the surprise"
    alt = (
        f"Spectrogram with the curve of nats per sample, mean {nats:.2f}, and below it the "
        f"surprise, highest {highest:.2f} at {strangest:.1f} seconds"
    )
    notes = [
        "Curves are running means over a tenth of a second, in nats per sample; the axis of the "
        "surprise is logarithmic beyond ±0.1. The means above are exact."
    ]
    if inspection.damaged is not None:
        start, stop = inspection.damaged
        notes.append(f"Damaged between the dashed lines, {start:.1f} to {stop:.1f} s.")
    return markup.report(figures, notes, shown=[(picture, caption, alt)])
