"""The page, in a real browser, served by a real process."""

import importlib.util
import json
import pickle
import re
import socket
import sys
import time
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import soundfile
import torch

from tests.demo.browser import CHROMIUM, CLIPS, ROOT, browser, server
from waveflow.audio import read_audio, write_audio
from waveflow.audio.mel_file import write_mel
from waveflow.cli import main
from waveflow.interop.mels import CONVENTIONS

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    *(
        pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"needs {name}")
        for name in ("gradio", "playwright")
    ),
]

TABS = ("Vocode", "Latent", "Likelihood", "About")
PATIENCE = 180_000
"""Milliseconds: cores may be shared with other tests."""

PLAYED = """
window.played = [];
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () { window.played.push(this); return play.call(this); };
"""


@pytest.fixture(scope="module")
def demo():
    with server() as one:
        yield one


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as one:
        one.set_default_timeout(PATIENCE)
        yield one


@pytest.fixture
def visit(context, demo):
    """Opens the page; at the end nothing but the server was asked, and nothing was complained."""
    pages = []

    def open_page(*, width=1280, height=900, bad_sounds=False):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.add_init_script(PLAYED)
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                page.complaints.append(message.text)
                if message.type == "error" and not bad_sounds
                else None
            ),
        )
        page.goto(demo.url)
        page.get_by_role("tab", name="Vocode").wait_for()
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        outside = [url for url in page.asked if not url.startswith((demo.url, "data:", "blob:"))]
        assert len(page.asked) > 20
        assert outside == []
        assert page.complaints == []
        page.close()
    assert "Traceback" not in demo.said


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A second and a half of a recording."""
    audio, rate = read_audio(CLIPS / "LJ001-0016.flac")
    path = tmp_path_factory.mktemp("clips") / "speech.wav"
    write_audio(path, audio[5120 : 5120 + 128 * 256], rate)
    return path


def upload(page, place, path):
    page.locator(f"#{place} input[type=file]").set_input_files(path)
    page.locator(f"#{place}").get_by_role("button", name="Play", exact=True).wait_for()


def press(page, button, tab):
    """Press a button, wait for its answer; the figures by name."""
    report = page.locator(f"#{tab}-report")
    report.evaluate("at => at.querySelectorAll('.wf-tiles').forEach(old => old.dataset.old = 1)")
    page.locator(f"#{button}-button").click()
    report.locator(".wf-tiles:not([data-old])").wait_for()
    names = page.locator(f"#{tab}-report dt").all_inner_texts()
    return dict(zip(names, page.locator(f"#{tab}-report dd").all_inner_texts(), strict=True))


def sound_of(page, tab):
    """The sound that a result's player has, as its download gives it."""
    with page.expect_download() as download:
        page.locator(f"#{tab}-result").get_by_role("button", name="Download").click()
    audio, rate = soundfile.read(download.value.path(), dtype="float32")
    return torch.from_numpy(audio), rate


def test_a_clip_is_uploaded_vocoded_and_played(visit, clip, ljspeech):
    page = visit()
    upload(page, "vocode-recording", clip)
    figures = press(page, "vocode", "vocode")
    assert float(figures["nats/sample"]) > 3
    assert float(figures["bits/sample"]) == pytest.approx(
        15 - float(figures["nats/sample"]) / np.log(2), abs=2e-3
    )
    audio, rate = sound_of(page, "vocode")
    recorded, _ = read_audio(clip)
    expected = ljspeech(ljspeech.mel(recorded[None]), seed=0)[0]
    assert rate == 22050
    assert (audio - expected).abs().max() < 1e-3
    images = page.locator("#vocode-pictures img")
    images.nth(1).wait_for()
    assert images.count() == 2
    assert all("Mel spectrogram" in image.get_attribute("alt") for image in images.all())
    page.wait_for_function("image => image.naturalWidth > 400", arg=images.first.element_handle())
    page.locator("#vocode-result").get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("window.played.some((one) => one.currentTime > 0.3)")


def test_the_microphone_records(visit):
    page = visit()
    box = page.locator("#vocode-recording")
    box.get_by_role("button", name="Record audio").click()
    box.get_by_role("button", name="Record", exact=True).click()
    time.sleep(1.2)
    box.get_by_role("button", name="Stop", exact=True).click()
    box.get_by_role("button", name="Play", exact=True).wait_for()
    figures = press(page, "vocode", "vocode")
    assert 0.7 < float(figures["seconds"]) < 4


def test_a_mel_file_and_its_convention(visit, clip, ljspeech, tmp_path):
    page = visit()
    mel = ljspeech.mel(read_audio(clip)[0][None])[0]
    write_mel(tmp_path / "own.npz", mel, ljspeech.config.mel)
    np.save(tmp_path / "matcha.npy", CONVENTIONS["matcha-22k"].write(mel).numpy())
    page.get_by_label("a mel file").click()
    sounds = []
    for name in ("own.npz", "matcha.npy"):
        page.locator("#vocode-mel input[type=file]").set_input_files(tmp_path / name)
        page.get_by_text(re.compile(name.split(".")[0])).first.wait_for()
        if name == "matcha.npy":
            page.get_by_role("listbox", name="Mel convention").or_(
                page.get_by_role("combobox", name="Mel convention")
            ).or_(page.get_by_label("Mel convention")).first.click()
            page.get_by_role("option", name=re.compile("^matcha-22k")).click()
        page.get_by_role("spinbutton", name="Seed").fill("7")
        figures = press(page, "vocode", "vocode")
        assert "nats/sample" not in figures
        sounds.append(sound_of(page, "vocode")[0])
        page.get_by_role("button", name=re.compile("[Cc]lear|[Rr]emove")).last.click()
        page.reload() if name == "own.npz" else None
        page.get_by_label("a mel file").click()
    assert sounds[0].shape == sounds[1].shape
    assert (sounds[0] - sounds[1]).abs().max() < 1e-2


def test_every_model_brings_its_own_defaults(visit):
    page = visit()
    page.get_by_label("Model").first.click()
    page.get_by_role("option", name="ljspeech-hq").click()
    iterations = page.get_by_role("spinbutton", name=re.compile("Consistency")).first
    page.wait_for_function(
        "(input) => input.value === '64'", arg=iterations.element_handle(), timeout=PATIENCE
    )


def test_latents_are_interpolated_scaled_and_moved(visit, clip):
    page = visit()
    page.get_by_role("tab", name="Latent").click()
    for place in ("latent-a", "latent-b"):
        upload(page, place, clip if place == "latent-a" else CLIPS / "LJ001-0005.flac")
    figures = press(page, "between", "latent")
    assert float(figures["deviation of latent"]) == pytest.approx(1, abs=0.1)
    page.get_by_role("tab", name="Bands").click()
    figures = press(page, "band", "latent")
    assert float(figures["deviation of latent"]) < 0.9
    page.get_by_role("tab", name="Direction").click()
    for place in ("group-from", "group-to"):
        page.locator(f"#{place} input[type=file]").set_input_files([clip])
        page.locator(f"#{place}").get_by_text("speech").first.wait_for()
    figures = press(page, "along", "latent")
    assert "dB change" in figures
    images = page.locator("#latent-pictures img")
    images.nth(1).wait_for()
    assert images.count() == 2


def test_a_noisy_second_is_seen_in_the_likelihood(visit):
    page = visit()
    page.get_by_role("tab", name="Likelihood").click()
    page.get_by_role("button", name="LJ001-0016").locator("visible=true").click()
    page.locator("#likelihood-recording").get_by_role("button", name="Play", exact=True).wait_for()
    calm = press(page, "likelihood", "likelihood")
    page.get_by_label("noise, 20 dB below").click()
    noisy = press(page, "likelihood", "likelihood")
    (name,) = (name for name in noisy if name.startswith("highest"))
    assert 2.0 < float(re.search(r"at ([\d.]+) s", name)[1]) < 3.3
    (before,) = (float(value) for key, value in calm.items() if key.startswith("highest"))
    assert float(noisy[name]) > 3 * before
    assert float(calm["nats/sample"]) > float(noisy["nats/sample"])
    assert "surprise" in page.locator("#likelihood-report img").get_attribute("alt")


def test_about_tells_results_and_models(visit):
    page = visit()
    page.get_by_role("tab", name="About").click()
    for text in ("Griffin-Lim, the same mels", "The default vocoder"):
        page.get_by_text(text).first.wait_for()
    page.get_by_role("button", name="ljspeech-hq").click()
    page.get_by_text("5.50 million").first.wait_for()


def bad_files(folder):
    """Files that are no sounds, and what the page says of them."""
    (folder / "text.wav").write_text("this is no sound")
    (folder / "empty.wav").write_bytes(b"")
    whole = (CLIPS / "LJ001-0003.flac").read_bytes()
    (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
    content = BytesIO()
    soundfile.write(content, np.zeros(22050, dtype=np.int16), 22050, format="WAV")
    (folder / "cut.wav").write_bytes(content.getvalue()[:9000])
    soundfile.write(folder / "long.flac", np.zeros(40 * 22050, dtype=np.int16), 22050)
    yield "vocode-recording", "text.wav", "text.wav: expected a whole sound file"
    yield "vocode-recording", "empty.wav", "empty.wav: expected"
    yield "vocode-recording", "cut.flac", "cut.flac: expected"
    yield "vocode-recording", "cut.wav", "cut.wav: expected"
    yield "vocode-recording", "long.flac", "long.flac: expected at most 30 s; got 40 s"


def bad_mels(folder):
    (folder / "hostile.pt").write_bytes(pickle.dumps(ValueError))
    np.save(folder / "narrow.npy", np.full((40, 100), -5, dtype=np.float32))
    (folder / "damaged.npz").write_bytes(b"PK\x03\x04 and then nothing")
    yield "vocode-mel", "hostile.pt", "hostile.pt: expected a mel"
    yield "vocode-mel", "narrow.npy", "expected shape (batch, 80, frames); got (1, 40, 100)"
    yield "vocode-mel", "damaged.npz", "damaged.npz: expected a mel"


@pytest.mark.parametrize("files", [bad_files, bad_mels])
def test_bad_files_are_told_in_one_line(files, visit, tmp_path):
    page = visit(bad_sounds=True)
    if files is bad_mels:
        page.get_by_label("a mel file").click()
    for place, name, message in files(tmp_path):
        with page.expect_response(re.compile("/upload")) as answer:
            page.locator(f"#{place} input[type=file]").set_input_files(tmp_path / name)
        assert answer.value.ok
        clear = page.locator(f"#{place}").get_by_role(
            "button", name=re.compile("^(Clear|Remove this file)$")
        )
        clear.first.wait_for()
        page.locator("#vocode-button").click()
        toast = page.locator(".toast-body")
        toast.first.wait_for()
        lines = toast.first.inner_text().splitlines()
        assert message in lines[-1]
        assert "/" not in lines[-1].replace("/s", "")  # no folder of the server
        assert "Traceback" not in page.locator("body").inner_text()
        toast.first.get_by_role("button").last.click()
        toast.wait_for(state="detached")
        clear.first.click()


NAMED = {"button", "textbox", "slider", "spinbutton", "combobox", "listbox", "radio", "checkbox"}
NAMED |= {"tab", "link", "searchbox", "image", "img"}


def nameless(page):
    """What of the page has a role that wants a name, and none, as the browser computes it."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    roles = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node.get("ignored")
    ]
    assert len(roles) > 20
    return [role for role, name in roles if role in NAMED and not name]


def test_a_phone_needs_no_scrolling_aside_and_everything_has_a_name(visit, clip):
    page = visit(width=390, height=844)
    upload(page, "vocode-recording", clip)
    press(page, "vocode", "vocode")
    for tab in (*TABS[:2], "Bands", "Direction", *TABS[2:], "Vocode"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab
        assert nameless(page) == [], tab
    page.get_by_label("a mel file").click()
    page.locator("#vocode-mel").wait_for()
    assert nameless(page) == []


def test_the_keyboard_alone_is_enough(visit):
    page = visit()
    focused = "(document.activeElement.ariaLabel || document.activeElement.innerText || '').trim()"
    order = []
    while "Vocode" not in order[1:]:
        assert len(order) < 60, order
        page.keyboard.press("Tab")
        order.append(page.evaluate(focused))
        if order[-1] == "LJ001-0016":
            page.keyboard.press("Enter")
            page.locator("#vocode-recording").get_by_role("button", name="Play").first.wait_for()
    page.keyboard.press("Enter")
    page.locator("#vocode-report .wf-tiles").wait_for()
    places = [
        next(index for index, name in enumerate(order) if name.startswith(wanted))
        for wanted in (
            "Vocode",
            "LJ001-0001",
            "LJ001-0016",
            "Model",
            "number input for Temperature",
        )
    ]
    assert places == sorted(places)


def fetch(url):
    with urlopen(url, timeout=20) as answer:
        return answer.status


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        str(ROOT / "README.md"),
        str(CLIPS / "LJ001-0001.flac"),
        "../../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "README.md",
    ],
)
def test_no_file_of_the_server_can_be_fetched(path, demo):
    for route in ("gradio_api/file=", "file=", "gradio_api/file/", "static/", "assets/"):
        with pytest.raises(HTTPError) as refused:
            fetch(f"{demo.url}{route}{path}")
        refused.value.close()
        assert refused.value.code in (403, 404), route


def call(demo, file):
    values = ["a recording", file, None, None, "ljspeech", 0.6, 12, 0, 0]
    request = Request(
        f"{demo.url}gradio_api/call/vocode",
        json.dumps({"data": values}).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=20) as answer:
        event = json.loads(answer.read())["event_id"]
    with urlopen(f"{demo.url}gradio_api/call/vocode/{event}", timeout=60) as answer:
        return answer.read().decode()


def test_no_file_of_the_server_can_be_vocoded(demo):
    for path in (str(CLIPS / "LJ001-0001.flac"), "/etc/passwd"):
        answer = call(demo, {"path": path, "meta": {"_type": "gradio.FileData"}})
        assert "event: error" in answer
        assert "event: complete" not in answer


@pytest.fixture(scope="module")
def loading():
    """``benchmarks/load.py``."""
    spec = importlib.util.spec_from_file_location("load", ROOT / "benchmarks" / "load.py")
    sys.modules["load"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["load"]


def test_an_upload_that_is_too_large_is_refused(demo, loading, tmp_path):
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(21 * 10**6))
    with pytest.raises(HTTPError) as refused:
        loading.upload(demo.url, large)
    refused.value.close()
    assert refused.value.code == 413


def test_eight_visitors_at_once(demo, loading, clip):
    with loading.watch(demo.process.pid) as memory:
        tally = loading.load(demo.url, [clip], users=8, seconds=3)
    assert tally.failures == []
    assert len(tally.seconds) >= 8
    assert max(memory.samples) < memory.samples[0] + 300


def test_a_port_that_is_taken_is_told(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {port} of 127.0.0.1: expected a free port" in line


def test_it_stops_and_leaves_nothing(demo, loading, clip):
    """The last of all: it ends the server."""
    path = Path(loading.upload(demo.url, clip))
    folder = next(parent for parent in path.parents if parent.name.startswith("waveflow-demo-"))
    assert path.is_file()
    assert demo.stop() == 0
    assert not folder.exists()
    assert "stopped" in demo.said
