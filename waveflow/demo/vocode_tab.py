"""The tab *Vocode*: from a recording or a mel to speech."""

from __future__ import annotations

from typing import Any

import gradio as gr

from waveflow.demo import controls, markup
from waveflow.demo.backend import Backend
from waveflow.demo.pictures import mel_picture
from waveflow.demo.reading import conventions
from waveflow.demo.vocoding import Sound, SynthesisOptions, vocode_mel, vocode_recording
from waveflow.evaluation.recording import bits_per_sample
from waveflow.io.folders import MELS

RECORDING, MEL = "a recording", "a mel file"
DECLARED = "as the file says, or the model's own"


def add(backend: Backend) -> None:
    """Add the tab to the page."""
    config = backend.vocoder(backend.names[0]).config
    synthesis = config.synthesis
    milliseconds = 1000 * config.mel.hop_length / config.mel.sample_rate
    gr.Markdown(
        f"A recording is converted to its mel spectrogram, {config.mel.n_mels} numbers every "
        f"{milliseconds:.0f} ms, and synthesised again from that alone. "
        "A mel file, for example from a text-to-speech system, is synthesised directly.",
        elem_classes="wf-lead",
    )
    with gr.Row():
        with gr.Column(min_width=300):
            source = gr.Radio([RECORDING, MEL], value=RECORDING, label="Speech from")
            with gr.Column() as from_recording:
                audio = controls.recording("Recording", "vocode-recording")
                controls.clips([audio])
            with gr.Column(visible=False) as from_mel:
                mel, convention = _mel_controls()
        with gr.Column(min_width=300):
            model = controls.model_choice(backend)
            with gr.Row():
                temperature = gr.Slider(
                    0,
                    1.5,
                    value=synthesis.temperature,
                    step=0.05,
                    label="Temperature",
                    info="scale of the noise",
                )
                consistency = controls.iterations(backend, synthesis.consistency, "iterations")
            with gr.Row():
                denoise = gr.Slider(0, 1, value=0, step=0.05, label="Denoiser", info="removes hum")
                seed = gr.Number(
                    0,
                    precision=0,
                    minimum=0,
                    maximum=2**32 - 1,
                    label="Seed",
                    info="same seed, same sound",
                )
            button = gr.Button("Vocode", variant="primary", elem_id="vocode-button")
    outputs = controls.results(
        "Vocoded speech", "vocode", "Choose an example or bring your own, and press Vocode."
    )

    def own_defaults(name: str) -> tuple[float, int]:
        chosen = backend.vocoder(name).config.synthesis
        return chosen.temperature, min(chosen.consistency, backend.limits.consistency)

    def chosen_source(name: str) -> list[dict[str, Any]]:
        return [gr.update(visible=name == shown) for shown in (RECORDING, MEL)]

    controls.follow(source, chosen_source, [from_recording, from_mel])
    controls.follow(model, own_defaults, [temperature, consistency])
    controls.answer(
        backend,
        button,
        respond,
        [source, audio, mel, convention, model, temperature, consistency, seed, denoise],
        outputs,
        "vocode",
    )


def _mel_controls() -> tuple[gr.File, gr.Dropdown]:
    """Controls to upload a mel file and choose its convention."""
    mel = gr.File(label="Mel file (.npz, .npy or .pt)", file_types=list(MELS), elem_id="vocode-mel")
    convention = gr.Dropdown(
        [(DECLARED, DECLARED), *conventions()],
        value=DECLARED,
        label="Mel convention",
        info="convention of the system that wrote the file",
        filterable=False,
    )
    return mel, convention


def respond(
    backend: Backend,
    source: str,
    audio: str | None,
    mel: str | None,
    convention: str | None,
    model: str,
    temperature: float,
    consistency: int,
    seed: int | None,
    denoise: float,
) -> tuple[str, str, str]:
    """The sound, its figures and its pictures, for the page."""
    options = SynthesisOptions(model, temperature, consistency, seed or 0, denoise)
    if source == RECORDING:
        sound = vocode_recording(backend, audio, options)
    else:
        chosen = None if convention == DECLARED else convention
        sound = vocode_mel(backend, mel, options, chosen)
    heard = "the recording" if source == RECORDING else "the mel file"
    about = f"Mel spectrogram, {sound.seconds:.1f} s:"
    pictures = [
        (mel_picture(sound.input_mel, sound.seconds), f"Input: {heard}", f"{about} the input"),
        (
            mel_picture(sound.output_mel, sound.seconds),
            "Output: the vocoded speech",
            f"{about} the vocoded speech",
        ),
    ]
    player = controls.playable(sound.audio, sound.sample_rate)
    return player, describe(sound), markup.pictures(pictures)


def describe(sound: Sound) -> str:
    """The figures of a sound, as HTML."""
    figures = [
        (f"{sound.seconds:.1f}", "seconds"),
        (f"{sound.times_real_time:.0f}", "× real time"),
        (f"{sound.mel_distance:.3f}", "mel error"),
    ]
    note = (
        "Speed is that of one core; the mel error is the mean difference of the two mels, in nats."
    )
    if sound.nats is not None:
        figures += [
            (f"{sound.nats:.3f}", "nats/sample"),
            (f"{bits_per_sample(sound.nats):.3f}", "bits/sample"),
        ]
        note += (
            " Nats and bits per sample are those of the recording, not of the copy: its exact "
            "log-likelihood given its mel, and an upper bound on the cost to encode its 16-bit "
            "samples."
        )
    return markup.report(figures, [note], warning=sound.warning)
