"""What the demo computes and what it refuses, without a page."""

import gc
import io
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.conftest import CLIPS
from waveflow.audio import read_audio
from waveflow.audio.mel_file import write_mel
from waveflow.demo import Backend, Limits
from waveflow.demo.backend import label
from waveflow.demo.errors import readable, report_errors
from waveflow.demo.inspection import DAMAGES, UNDAMAGED, inspect_recording, middle_second, smooth
from waveflow.demo.latent_edits import edit_band, interpolate_recordings, move_along_direction
from waveflow.demo.markup import pictures, report
from waveflow.demo.pictures import curve_picture, mel_picture, sound_picture
from waveflow.demo.texts import model_card, readme, results, without_local_links
from waveflow.demo.vocoding import SynthesisOptions, vocode_mel, vocode_recording
from waveflow.evaluation import nats_per_sample, read_recording
from waveflow.interop.mels import CONVENTIONS

CLIP = str(CLIPS / "LJ001-0016.flac")
OTHER = str(CLIPS / "LJ001-0005.flac")
OPTIONS = SynthesisOptions("ljspeech-nano", 0.6, 3)
pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio")


@pytest.fixture(scope="module")
def backend():
    threads = torch.get_num_threads()
    backend = Backend(workers=2)
    yield backend
    backend.close()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def mel(backend):
    audio, _ = read_audio(CLIP)
    return backend.vocoder("ljspeech-nano").mel(audio[None, : 100 * 256])[0]


class Test_vocode:
    def test_a_recording_is_what_the_library_makes_of_it(self, backend):
        sound = vocode_recording(backend, CLIP, OPTIONS)
        vocoder = backend.vocoder("ljspeech-nano")
        recording = read_recording(CLIP, backend.log_mel("ljspeech-nano"))
        expected = vocoder(recording.mel[None], temperature=0.6, consistency=3, seed=0)[0]
        torch.testing.assert_close(sound.audio, expected.clamp(-1, 1), atol=1e-5, rtol=0)
        assert sound.nats == pytest.approx(nats_per_sample(vocoder, recording), abs=1e-4)
        assert sound.times_real_time > 1
        assert sound.mel_distance < 0.3
        assert sound.input_mel.shape == sound.output_mel.shape

    def test_the_denoiser_is_the_librarys(self, backend):
        plain = vocode_recording(backend, CLIP, OPTIONS)
        denoised = vocode_recording(
            backend, CLIP, SynthesisOptions("ljspeech-nano", 0.6, 3, denoise=0.5)
        )
        expected = backend.denoiser("ljspeech-nano", 0.6, 3)(plain.audio[None], strength=0.5)[0]
        torch.testing.assert_close(denoised.audio, expected, atol=1e-4, rtol=0)

    @pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt"])
    def test_a_mel_file(self, suffix, backend, mel, tmp_path):
        path = tmp_path / f"mel{suffix}"
        write_mel(path, mel, backend.log_mel("ljspeech-nano").config)
        sound = vocode_mel(backend, str(path), OPTIONS)
        assert sound.nats is None
        assert sound.audio.shape == (100 * 256,)
        assert sound.warning is None

    def test_a_mel_of_another_convention_is_converted(self, backend, mel, tmp_path):
        np.save(tmp_path / "matcha.npy", CONVENTIONS["matcha-22k"].write(mel).numpy())
        wanted = vocode_mel(backend, str(tmp_path / "matcha.npy"), OPTIONS, "matcha-22k")
        torch.testing.assert_close(wanted.input_mel, mel, atol=1e-4, rtol=0)
        np.save(tmp_path / "espnet.npy", (mel / np.log(10)).T.numpy())
        with pytest.raises(ValueError, match="f_min"):
            vocode_mel(backend, str(tmp_path / "espnet.npy"), OPTIONS, "espnet-22k")

    def test_an_implausible_mel_has_a_warning(self, backend, tmp_path):
        audio, _ = read_audio(CLIP)
        mel = backend.vocoder("ljspeech-nano").mel(audio[None, : 200 * 256])[0]
        np.save(tmp_path / "decimal.npy", (mel / np.log(10)).numpy())
        with pytest.warns(UserWarning, match="decimal"):
            sound = vocode_mel(backend, str(tmp_path / "decimal.npy"), OPTIONS)
        assert "decimal logarithms" in sound.warning
        assert "decimal logarithms" in report([], [], warning=sound.warning)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (SynthesisOptions("nobody", 0.6, 3), "expected a model among ljspeech"),
            (SynthesisOptions("ljspeech-nano", -1, 3), "temperature"),
            (SynthesisOptions("ljspeech-nano", 0.6, 100_000), "0 to 64 iterations"),
            (SynthesisOptions("ljspeech-nano", 0.6, 3, denoise=-1), "strength"),
        ],
    )
    def test_impossible_options_are_refused(self, options, message, backend):
        with pytest.raises(ValueError, match=message):
            vocode_recording(backend, CLIP, options)


class Test_uploads:
    @pytest.mark.parametrize("path", [None, ""])
    def test_nothing(self, path, backend):
        with pytest.raises(ValueError, match="upload one"):
            vocode_recording(backend, path, OPTIONS)
        with pytest.raises(ValueError, match="expected a mel file"):
            vocode_mel(backend, path, OPTIONS)

    def test_a_recording_that_is_too_long_is_refused_by_its_header(self, backend, tmp_path):
        path = tmp_path / "long.flac"
        soundfile.write(path, np.zeros(40 * 22050, dtype=np.int16), 22050)
        with pytest.raises(ValueError, match="expected at most 30 s; got 40 s"):
            vocode_recording(backend, str(path), OPTIONS)

    def test_a_mel_that_is_too_long(self, backend, mel, tmp_path):
        np.save(tmp_path / "long.npy", mel.repeat(1, 40).numpy())
        with pytest.raises(ValueError, match="expected at most 30 s; got 46 s"):
            vocode_mel(backend, str(tmp_path / "long.npy"), OPTIONS)

    @pytest.mark.parametrize("suffix", [".npz", ".pt"])
    def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(self, suffix, backend, tmp_path):
        path = tmp_path / f"bomb{suffix}"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mel.npy", bytes(50 * 10**6))
        assert path.stat().st_size < 10**5
        with pytest.raises(ValueError, match="expected at most 20 MB; got 48 MB"):
            vocode_mel(backend, str(path), OPTIONS)

    def test_a_hostile_pickle_runs_nothing(self, backend, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (open, (str(tmp_path / "ran"), "w"))

        path = tmp_path / "bomb.pt"
        path.write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(ValueError, match=r"bomb\.pt"):
            vocode_mel(backend, str(path), OPTIONS)
        assert not (tmp_path / "ran").exists()

    def test_limits_are_those_of_the_backend(self, backend):
        small = Backend(limits=Limits(seconds=2), workers=1)
        with pytest.raises(ValueError, match="expected at most 2 s; got 5 s"):
            vocode_recording(small, CLIP, OPTIONS)
        small.close()


class Test_latent_edits:
    def test_begin_at_the_recording_itself(self, backend):
        edit = interpolate_recordings(backend, "ljspeech", CLIP, OTHER, 0.0, 0)
        assert (edit.audio - edit.original).abs().max() < 1e-3
        assert len(edit.audio) == len(read_audio(CLIP)[0]) // 256 * 256  # the shorter one

    def test_keep_the_deviation(self, backend):
        half = interpolate_recordings(backend, "ljspeech", CLIP, OTHER, 0.5, 0)
        assert half.deviation == pytest.approx(1, abs=0.05)
        assert (half.audio - half.original).abs().max() > 0.05
        along = move_along_direction(backend, "ljspeech", CLIP, [CLIP], [OTHER], 1.0, 0)
        assert along.deviation == pytest.approx(half.deviation, abs=0.05)

    def test_a_band_scaled_by_one_is_the_recording(self, backend):
        same = edit_band(backend, "ljspeech", CLIP, None, (0.0, 0.5), 1.0, 0)
        assert (same.audio - same.original).abs().max() < 1e-3
        swapped = edit_band(backend, "ljspeech", CLIP, OTHER, (0.0, 1.0), None, 0)
        end = interpolate_recordings(backend, "ljspeech", CLIP, OTHER, 1.0, 0)
        torch.testing.assert_close(swapped.audio, end.audio)

    def test_iterations_bring_the_mel_nearer(self, backend):
        def distance(edit):
            log_mel = backend.log_mel("ljspeech")
            mels = log_mel(torch.stack([edit.audio, edit.original]))
            return (mels[0] - mels[1]).abs().mean()

        edits = [
            interpolate_recordings(backend, "ljspeech", CLIP, OTHER, 1.0, count) for count in (0, 8)
        ]
        assert distance(edits[1]) < 0.5 * distance(edits[0])

    def test_groups_have_limits(self, backend):
        for groups in (([CLIP] * 7, [OTHER]), ([], [OTHER]), (None, None)):
            with pytest.raises(ValueError, match="1 to 6 recordings in each group"):
                move_along_direction(backend, "ljspeech", CLIP, *groups, 1.0, 0)


class Test_inspection:
    def test_its_mean_is_the_likelihood(self, backend):
        found = inspect_recording(backend, "ljspeech", CLIP, UNDAMAGED)
        recording = read_recording(CLIP, backend.log_mel("ljspeech"))
        expected = nats_per_sample(backend.vocoder("ljspeech"), recording)
        assert found.nats.mean().item() == pytest.approx(expected, abs=1e-4)
        assert found.damaged is None

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_every_damage_is_where_it_says(self, damage, backend):
        found = inspect_recording(backend, "ljspeech-nano", CLIP, damage)
        original, _ = read_audio(CLIP)
        changed = (found.audio != original[: len(found.audio)]).nonzero()
        start, stop = (seconds * 22050 for seconds in found.damaged)
        assert changed.min() >= round(start)
        assert changed.max() < round(stop)

    def test_helpers(self):
        assert smooth(torch.ones(20)).tolist() == pytest.approx([1] * 20)
        assert middle_second(22050 * 9, 22050, 256) == (88064, 109824 + 256)
        with pytest.raises(ValueError, match="among clipped"):
            inspect_recording(Backend(workers=1), "ljspeech", CLIP, "burnt")


class Test_backend:
    def test_folders_come_first(self, model):
        backend = Backend([model], workers=1)
        assert backend.names[0] == label(model)
        assert backend.names[1:] == ["ljspeech", "ljspeech-hq", "ljspeech-nano"]
        with pytest.raises(ValueError, match="different names"):
            Backend([model, model])

    def test_labels_tell_no_more_than_needed(self):
        assert label("/home/somebody/runs/first/model") == "first/model"
        assert label("runs/voice") == "voice"
        assert label("ljspeech") == "ljspeech"

    def test_threads_at_once_get_what_one_gets(self, backend):
        expected = vocode_recording(backend, CLIP, OPTIONS).audio
        with ThreadPoolExecutor(6) as visitors:
            jobs = [
                visitors.submit(backend.run, lambda: vocode_recording(backend, CLIP, OPTIONS).audio)
                for _ in range(6)
            ]
            for job in jobs:
                assert torch.equal(job.result(), expected)


class Test_pictures:
    def test_are_png_of_a_reasonable_size(self):
        audio = 0.1 * torch.randn(22050)
        curve = torch.linspace(-0.5, 20, 86)
        for png in (
            mel_picture(torch.randn(80, 86), 1.0),
            sound_picture(audio, sample_rate=22050),
            curve_picture(audio, curve, curve, sample_rate=22050, span=(0.2, 0.5)),
        ):
            image = Image.open(io.BytesIO(png))
            assert image.format == "PNG"
            assert image.width > 500
            assert len(png) < 600_000

    def test_short_sounds_can_be_drawn(self):
        sound_picture(torch.zeros(300), sample_rate=22050)

    def test_markup_escapes_what_it_shows(self):
        shown = [(b"", "<b>", "<b>")]
        assert "<b>" not in report([("<b>", "<b>")], ["<b>"], warning="<b>", shown=shown)
        assert 'alt="&lt;b&gt; &#34;"' in pictures([(b"", "c", '<b> "')])
        assert "wf-warning" not in report([], [])
        assert "<dd>−1.5</dd>" in report([("-1.5", "nats")], [])


class Test_errors:
    def test_are_one_line_without_folders(self, tmp_path, monkeypatch):
        from gradio import Error

        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

        @report_errors
        def fail():
            raise ValueError(f"{tmp_path}/0ab1/a<b>.wav: expected\na sound")

        with pytest.raises(Error) as caught:
            fail()
        assert caught.value.message == "a&lt;b&gt;.wav: expected a sound"

    def test_unexpected_ones_are_logged_and_shown_as_server_errors(self, caplog):
        from gradio import Error

        @report_errors
        def fail():
            raise RuntimeError("secret")

        with pytest.raises(Error, match="went wrong on the server"):
            fail()
        assert "secret" in caplog.text

    def test_of_the_system(self):
        missing = FileNotFoundError(2, "No such file or directory", "/somewhere/secret/x.wav")
        assert readable(missing) == "x.wav: No such file or directory"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # loops that gradio's examples leave open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_examples_outlive_what_visitors_leave(backend, tmp_path, monkeypatch):
    from gradio.route_utils import delete_files_created_by_app

    from waveflow.demo.page import build

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    page = build(backend)
    gc.collect()
    examples = {path.name for path in tmp_path.rglob("*.flac")}
    assert examples == {path.name for path in CLIPS.glob("*.flac")}
    left = tmp_path / "upload.wav"
    left.write_bytes(b"")
    page.upload_file_set.add(str(left))
    delete_files_created_by_app(page, age=-1)
    assert not left.exists()
    assert {path.name for path in tmp_path.rglob("*.flac")} == examples


class Test_texts:
    def test_results_are_the_readmes(self):
        text = results()
        assert "| `ljspeech-hq` |" in text
        assert set(text.splitlines()) <= set(without_local_links(readme()).splitlines())

    def test_cards_have_no_front_matter_and_no_dead_links(self):
        card = model_card("ljspeech")
        assert card.startswith("The default vocoder")
        assert "license: mit" not in card
        assert without_local_links("[a](docs/a.md) [b](https://b)") == "a [b](https://b)"
