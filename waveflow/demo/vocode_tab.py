"""The tab *Vocode*: from a recording or a mel to speech."""

from __future__ import annotations

from functools import partial

import gradio as gr

from waveflow.demo import controls, markup
from waveflow.demo.backend import Backend
from waveflow.demo.pictures import mel_picture
from waveflow.demo.reading import conventions
from waveflow.demo.vocoding import Sound, SynthesisOptions, vocode_mel, vocode_recording
from waveflow.io.folders import MELS

RECORDING, MEL = "a recording", "a mel file"
DECLARED = "as the file says, or the model's own"


def add(backend: Backend) -> None:
    """Add the tab to the page."""
    config = backend.vocoder(backend.names[0]).config
    synthesis, milliseconds = (
        config.synthesis,
        1000 * config.mel.hop_length / config.mel.sample_rate,
    )
    gr.Markdown(
        f"A recording is converted to its mel spectrogram, {config.mel.n_mels} numbers every "
        f"{milliseconds:.0f} ms, and synthesised again from that alone. "
        "A mel file, for example from a text-to-speech system, is synthesised directly.",
        elem_classes="wf-lead",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            source = gr.Radio([RECORDING, MEL], value=RECORDING, label="Speech from")
            with gr.Column(visible=True) as from_recording:
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
    result, report, pictures = controls.results(
        "Vocoded speech", "vocode", "Choose an example or bring your own, and press Vocode."
    )

    source.change(
        lambda chosen: (gr.update(visible=chosen == RECORDING), gr.update(visible=chosen == MEL)),
        source,
        [from_recording, from_mel],
        queue=False,
        api_visibility="private",
        show_progress="hidden",
    )

    def own_defaults(name: str) -> tuple[float | None, int | None]:
        chosen = backend.vocoder(name).config.synthesis
        return chosen.temperature, min(chosen.consistency, backend.limits.consistency)

    model.change(
        own_defaults,
        model,
        [temperature, consistency],
        queue=False,
        api_visibility="private",
        show_progress="hidden",
    )
    controls.answer(
        backend,
        button,
        partial(respond, backend),
        [source, audio, mel, convention, model, temperature, consistency, seed, denoise],
        [result, report, pictures],
        "vocode",
    )


def _mel_controls() -> tuple[gr.File, gr.Dropdown]:
    """Controls to upload a mel file and choose its convention."""
    mel = gr.File(
        label="Mel file (.npz, .npy or .pt)",
        file_types=list(MELS),
        elem_id="vocode-mel",
    )
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
    consistency: float,
    seed: float | None,
    denoise: float,
) -> tuple[str, str, str]:
    """The sound, its figures and its pictures, for the page."""
    options = SynthesisOptions(model, temperature, int(consistency), int(seed or 0), denoise)
    if source == RECORDING:
        sound = vocode_recording(backend, audio, options)
    else:
        chosen = None if convention in (None, DECLARED) else convention
        sound = vocode_mel(backend, mel, options, chosen)
    return (
        controls.playable(sound.audio, sound.sample_rate),
        describe(sound),
        pictures_of(backend, sound, options),
    )


def describe(sound: Sound) -> str:
    """The figures of a sound, as HTML."""
    figures = [
        (f"{sound.seconds:.1f}", "seconds"),
        (f"{sound.times_real_time:.0f}", "× real time"),
        (f"{sound.mel_distance:.3f}", "mel error"),
    ]
    small = [
        "Speed is that of one core; the mel error is the mean difference of the two mels, in nats."
    ]
    if sound.nats is not None and sound.bits is not None:
        figures += [
            (f"{sound.nats:.3f}", "nats/sample"),
            (f"{sound.bits:.3f}", "bits/sample"),
        ]
        small.append(
            "Nats and bits per sample are those of the recording, not of the copy: its exact "
            "log-likelihood given its mel, and an upper bound on the cost to encode its 16-bit "
            "samples."
        )
    return markup.warning(sound.warning) + markup.tiles(figures) + markup.notes([" ".join(small)])


def pictures_of(backend: Backend, sound: Sound, options: SynthesisOptions) -> str:
    """Pictures of the two mels of a sound, as HTML."""
    config = backend.vocoder(options.model).config.mel
    draw = partial(mel_picture, sample_rate=config.sample_rate, hop_length=config.hop_length)
    source = "the recording" if sound.nats is not None else "the mel file"
    about = f"Mel spectrogram, {sound.seconds:.1f} s:"
    return markup.pictures(
        [
            (draw(sound.input_mel), f"Input: {source}", f"{about} the input"),
            (draw(sound.output_mel), "Output: the vocoded speech", f"{about} the vocoded speech"),
        ]
    )
