"""The tab *Vocode*: from a recording or a mel to speech."""

from __future__ import annotations

from functools import partial

import gradio as gr

from waveflow.demo import controls, markup
from waveflow.demo.pictures import mel_picture
from waveflow.demo.reading import conventions
from waveflow.demo.studio import Studio
from waveflow.demo.vocoding import Sound, Wishes, vocode_mel, vocode_recording
from waveflow.io.folders import MELS

RECORDING, MEL = "a recording", "a mel file"
DECLARED = "as the file says, or the model's own"


def add(studio: Studio) -> None:
    """Add the tab to the page."""
    config = studio.vocoder(studio.names[0]).config
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
            model = controls.model_choice(studio)
            with gr.Row():
                temperature = gr.Slider(
                    0,
                    1.5,
                    value=synthesis.temperature,
                    step=0.05,
                    label="Temperature",
                    info="scale of the noise",
                )
                consistency = controls.iterations(studio, synthesis.consistency, "iterations")
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
        chosen = studio.vocoder(name).config.synthesis
        return chosen.temperature, min(chosen.consistency, studio.limits.consistency)

    model.change(
        own_defaults,
        model,
        [temperature, consistency],
        queue=False,
        api_visibility="private",
        show_progress="hidden",
    )
    controls.answer(
        studio,
        button,
        partial(respond, studio),
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
    studio: Studio,
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
    wishes = Wishes(model, temperature, int(consistency), int(seed or 0), denoise)
    if source == RECORDING:
        sound = vocode_recording(studio, audio, wishes)
    else:
        chosen = None if convention in (None, DECLARED) else convention
        sound = vocode_mel(studio, mel, wishes, chosen)
    return (
        controls.playable(sound.audio, sound.sample_rate),
        describe(sound),
        drawn(studio, sound, wishes),
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
    return markup.warning(sound.doubt) + markup.tiles(figures) + markup.notes([" ".join(small)])


def drawn(studio: Studio, sound: Sound, wishes: Wishes) -> str:
    """Pictures of the two mels of a sound, as HTML."""
    config = studio.vocoder(wishes.model).config.mel
    draw = partial(mel_picture, sample_rate=config.sample_rate, hop_length=config.hop_length)
    asked = "the recording" if sound.nats is not None else "the mel file"
    about = f"Mel spectrogram, {sound.seconds:.1f} s:"
    return markup.pictures(
        [
            (draw(sound.asked), f"Input: {asked}", f"{about} the input"),
            (draw(sound.made), "Output: the vocoded speech", f"{about} the vocoded speech"),
        ]
    )
