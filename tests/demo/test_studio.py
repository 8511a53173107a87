"""What the demo computes and what it refuses, without a page."""

import gc
import io
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from tests.conftest import CLIPS
from waveflow.audio import read_audio
from waveflow.audio.mel_file import write_mel
from waveflow.demo import Limits, Studio
from waveflow.demo.errors import readable, told
from waveflow.demo.inspection import DAMAGES, UNDAMAGED, inspect_recording, middle_second, smooth
from waveflow.demo.markup import pictures, tiles, warning
from waveflow.demo.pictures import curve_picture, mel_picture, sound_picture
from waveflow.demo.studio import label
from waveflow.demo.texts import model_card, readme, results, without_local_links
from waveflow.demo.vocoding import Wishes, vocode_mel, vocode_recording
from waveflow.demo.walks import walk_along, walk_band, walk_between
from waveflow.evaluation import nats_per_sample, read_recording
from waveflow.interop.mels import CONVENTIONS

CLIP = str(CLIPS / "LJ001-0016.flac")
OTHER = str(CLIPS / "LJ001-0005.flac")
WISHES = Wishes("ljspeech-nano", 0.6, 3)
gr = pytest.importorskip("gradio")


@pytest.fixture(scope="module")
def studio():
    threads = torch.get_num_threads()
    studio = Studio(workers=2)
    yield studio
    studio.close()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def mel(studio):
    audio, _ = read_audio(CLIP)
    return studio.vocoder("ljspeech-nano").mel(audio[None, : 100 * 256])[0]


class Test_vocode:
    def test_a_recording_is_what_the_library_makes_of_it(self, studio):
        sound = vocode_recording(studio, CLIP, WISHES)
        vocoder = studio.vocoder("ljspeech-nano")
        recording = read_recording(CLIP, studio.log_mel("ljspeech-nano"))
        expected = vocoder(recording.mel[None], temperature=0.6, consistency=3, seed=0)[0]
        torch.testing.assert_close(sound.audio, expected.clamp(-1, 1), atol=1e-5, rtol=0)
        assert sound.nats == pytest.approx(nats_per_sample(vocoder, recording), abs=1e-4)
        assert sound.times_real_time > 1
        assert sound.mel_distance < 0.3
        assert sound.asked.shape == sound.made.shape

    def test_the_denoiser_is_the_librarys(self, studio):
        plain = vocode_recording(studio, CLIP, WISHES)
        denoised = vocode_recording(studio, CLIP, Wishes("ljspeech-nano", 0.6, 3, denoise=0.5))
        expected = studio.denoiser("ljspeech-nano", 0.6, 3)(plain.audio[None], strength=0.5)[0]
        torch.testing.assert_close(denoised.audio, expected, atol=1e-4, rtol=0)

    @pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt"])
    def test_a_mel_file(self, suffix, studio, mel, tmp_path):
        path = tmp_path / f"mel{suffix}"
        write_mel(path, mel, studio.log_mel("ljspeech-nano").config)
        sound = vocode_mel(studio, str(path), WISHES)
        assert sound.nats is None
        assert sound.audio.shape == (100 * 256,)
        assert sound.doubt is None

    def test_a_mel_of_another_convention_is_converted(self, studio, mel, tmp_path):
        np.save(tmp_path / "matcha.npy", CONVENTIONS["matcha-22k"].write(mel).numpy())
        wanted = vocode_mel(studio, str(tmp_path / "matcha.npy"), WISHES, "matcha-22k")
        torch.testing.assert_close(wanted.asked, mel, atol=1e-4, rtol=0)
        np.save(tmp_path / "espnet.npy", (mel / np.log(10)).T.numpy())
        with pytest.raises(ValueError, match="f_min"):
            vocode_mel(studio, str(tmp_path / "espnet.npy"), WISHES, "espnet-22k")

    def test_a_doubtful_mel_is_told(self, studio, tmp_path):
        audio, _ = read_audio(CLIP)
        mel = studio.vocoder("ljspeech-nano").mel(audio[None, : 200 * 256])[0]
        np.save(tmp_path / "decimal.npy", (mel / np.log(10)).numpy())
        with pytest.warns(UserWarning, match="decimal"):
            sound = vocode_mel(studio, str(tmp_path / "decimal.npy"), WISHES)
        assert "decimal logarithms" in sound.doubt
        assert "decimal logarithms" in warning(sound.doubt)

    @pytest.mark.parametrize(
        ("wishes", "message"),
        [
            (Wishes("nobody", 0.6, 3), "expected a model among ljspeech"),
            (Wishes("ljspeech-nano", -1, 3), "temperature"),
            (Wishes("ljspeech-nano", 0.6, 100_000), "0 to 64 iterations"),
            (Wishes("ljspeech-nano", 0.6, 3, denoise=-1), "strength"),
        ],
    )
    def test_wishes_that_cannot_be(self, wishes, message, studio):
        with pytest.raises(ValueError, match=message):
            vocode_recording(studio, CLIP, wishes)


class Test_uploads:
    @pytest.mark.parametrize("path", [None, ""])
    def test_nothing(self, path, studio):
        with pytest.raises(ValueError, match="upload one"):
            vocode_recording(studio, path, WISHES)
        with pytest.raises(ValueError, match="expected a mel file"):
            vocode_mel(studio, path, WISHES)

    def test_a_recording_that_is_too_long_is_refused_by_its_header(self, studio, tmp_path):
        path = tmp_path / "long.flac"
        soundfile.write(path, np.zeros(40 * 22050, dtype=np.int16), 22050)
        with pytest.raises(ValueError, match="expected at most 30 s; got 40 s"):
            vocode_recording(studio, str(path), WISHES)

    def test_a_mel_that_is_too_long(self, studio, mel, tmp_path):
        np.save(tmp_path / "long.npy", mel.repeat(1, 40).numpy())
        with pytest.raises(ValueError, match="expected at most 30 s; got 46 s"):
            vocode_mel(studio, str(tmp_path / "long.npy"), WISHES)

    @pytest.mark.parametrize("suffix", [".npz", ".pt"])
    def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(self, suffix, studio, tmp_path):
        path = tmp_path / f"bomb{suffix}"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mel.npy", bytes(50 * 10**6))
        assert path.stat().st_size < 10**5
        with pytest.raises(ValueError, match="expected at most 20 MB; got 48 MB"):
            vocode_mel(studio, str(path), WISHES)

    def test_a_hostile_pickle_runs_nothing(self, studio, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (open, (str(tmp_path / "ran"), "w"))

        path = tmp_path / "bomb.pt"
        path.write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(ValueError, match=r"bomb\.pt"):
            vocode_mel(studio, str(path), WISHES)
        assert not (tmp_path / "ran").exists()

    def test_limits_are_the_studios(self, studio):
        small = Studio(limits=Limits(seconds=2), workers=1)
        with pytest.raises(ValueError, match="expected at most 2 s; got 5 s"):
            vocode_recording(small, CLIP, WISHES)
        small.close()


class Test_walks:
    def test_begin_at_the_recording_itself(self, studio):
        walk = walk_between(studio, "ljspeech", CLIP, OTHER, 0.0, 0)
        assert (walk.audio - walk.start).abs().max() < 1e-3
        assert len(walk.audio) == len(read_audio(CLIP)[0]) // 256 * 256  # the shorter one

    def test_keep_the_deviation(self, studio):
        half = walk_between(studio, "ljspeech", CLIP, OTHER, 0.5, 0)
        assert half.deviation == pytest.approx(1, abs=0.05)
        assert (half.audio - half.start).abs().max() > 0.05
        along = walk_along(studio, "ljspeech", CLIP, ([CLIP], [OTHER]), 1.0, 0)
        assert along.deviation == pytest.approx(half.deviation, abs=0.05)

    def test_a_band_scaled_by_one_is_the_recording(self, studio):
        same = walk_band(studio, "ljspeech", CLIP, None, (0.0, 0.5), 1.0, 0)
        assert (same.audio - same.start).abs().max() < 1e-3
        swapped = walk_band(studio, "ljspeech", CLIP, OTHER, (0.0, 1.0), None, 0)
        end = walk_between(studio, "ljspeech", CLIP, OTHER, 1.0, 0)
        torch.testing.assert_close(swapped.audio, end.audio)

    def test_iterations_bring_the_mel_nearer(self, studio):
        def distance(walk):
            log_mel = studio.log_mel("ljspeech")
            mels = log_mel(torch.stack([walk.audio, walk.start]))
            return (mels[0] - mels[1]).abs().mean()

        walks = [walk_between(studio, "ljspeech", CLIP, OTHER, 1.0, count) for count in (0, 8)]
        assert distance(walks[1]) < 0.5 * distance(walks[0])

    def test_groups_have_limits(self, studio):
        for groups in (([CLIP] * 7, [OTHER]), ([], [OTHER]), (None, None)):
            with pytest.raises(ValueError, match="1 to 6 recordings in each group"):
                walk_along(studio, "ljspeech", CLIP, groups, 1.0, 0)


class Test_inspection:
    def test_its_mean_is_the_likelihood(self, studio):
        found = inspect_recording(studio, "ljspeech", CLIP, UNDAMAGED)
        recording = read_recording(CLIP, studio.log_mel("ljspeech"))
        expected = nats_per_sample(studio.vocoder("ljspeech"), recording)
        assert found.nats.mean().item() == pytest.approx(expected, abs=1e-4)
        assert found.damaged is None

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_every_damage_is_where_it_says(self, damage, studio):
        found = inspect_recording(studio, "ljspeech-nano", CLIP, damage)
        original, _ = read_audio(CLIP)
        changed = (found.audio != original[: len(found.audio)]).nonzero()
        start, stop = (seconds * 22050 for seconds in found.damaged)
        assert changed.min() >= round(start)
        assert changed.max() < round(stop)

    def test_helpers(self):
        assert smooth(torch.ones(20)).tolist() == pytest.approx([1] * 20)
        assert middle_second(22050 * 9, 22050, 256) == (88064, 109824 + 256)
        with pytest.raises(ValueError, match="among clipped"):
            inspect_recording(Studio(workers=1), "ljspeech", CLIP, "burnt")


class Test_studio:
    def test_folders_come_first(self, model):
        studio = Studio([model], workers=1)
        assert studio.names[0] == label(model)
        assert studio.names[1:] == ["ljspeech", "ljspeech-hq", "ljspeech-nano"]
        with pytest.raises(ValueError, match="different names"):
            Studio([model, model])

    def test_labels_tell_no_more_than_needed(self):
        assert label("/home/somebody/runs/first/model") == "first/model"
        assert label("runs/voice") == "voice"
        assert label("ljspeech") == "ljspeech"

    def test_threads_at_once_get_what_one_gets(self, studio):
        expected = vocode_recording(studio, CLIP, WISHES).audio
        with ThreadPoolExecutor(6) as visitors:
            jobs = [
                visitors.submit(studio.run, lambda: vocode_recording(studio, CLIP, WISHES).audio)
                for _ in range(6)
            ]
            for job in jobs:
                assert torch.equal(job.result(), expected)


class Test_pictures:
    def test_are_png_of_a_reasonable_size(self):
        audio = 0.1 * torch.randn(22050)
        curve = torch.linspace(-0.5, 20, 86)
        for png in (
            mel_picture(torch.randn(80, 86), sample_rate=22050, hop_length=256),
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
        assert "<b>" not in tiles([("<b>", "<b>")]) + warning("<b>")
        assert 'alt="&lt;b&gt; &#34;"' in pictures([(b"", "c", '<b> "')])
        assert warning(None) == ""


class Test_errors:
    def test_are_one_line_without_folders(self, tmp_path, monkeypatch):
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

        @told
        def fail():
            raise ValueError(f"{tmp_path}/0ab1/a<b>.wav: expected\na sound")

        with pytest.raises(gr.Error) as caught:
            fail()
        assert caught.value.message == "a&lt;b&gt;.wav: expected a sound"

    def test_what_nobody_expected_is_logged_and_owned_up_to(self, caplog):
        @told
        def fail():
            raise RuntimeError("secret")

        with pytest.raises(gr.Error, match="went wrong on the server"):
            fail()
        assert "secret" in caplog.text

    def test_of_the_system(self):
        missing = FileNotFoundError(2, "No such file or directory", "/somewhere/secret/x.wav")
        assert readable(missing) == "x.wav: No such file or directory"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # loops that gradio's examples leave open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_examples_outlive_what_visitors_leave(studio, tmp_path, monkeypatch):
    from gradio.route_utils import delete_files_created_by_app

    from waveflow.demo.page import build

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    page = build(studio)
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
