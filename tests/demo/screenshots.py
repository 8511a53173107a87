"""Pictures of every tab for the documentation: ``make screenshots``."""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.demo.browser import CLIPS, ROOT, browser, server

FOLDER = ROOT / "docs" / "pictures"
WIDTH = 1160
CLIP = "LJ001-0016"


def main() -> None:
    """Draw all of them."""
    FOLDER.mkdir(exist_ok=True)
    with (
        server() as demo,
        tempfile.TemporaryDirectory() as folder,
        browser(Path(folder)) as context,
    ):
        page = context.new_page()
        page.goto(demo.url)
        for name, draw in (
            ("vocode", vocode),
            ("latent", latent),
            ("likelihood", likelihood),
            ("about", about),
        ):
            page.set_viewport_size({"width": WIDTH, "height": 700})
            page.get_by_role("tab", name=name.title()).click()
            draw(page)
            save(page, name)
        page.set_viewport_size({"width": 390, "height": 844})
        page.get_by_role("tab", name="Vocode").click()
        page.wait_for_timeout(800)
        save(page, "phone")


def vocode(page: Page) -> None:
    """A clip and its copy."""
    page.get_by_role("button", name=CLIP).locator("visible=true").click()
    page.locator("#vocode-recording").get_by_role("button", name="Play", exact=True).wait_for()
    page.locator("#vocode-button").click()
    page.locator("#vocode-report .wf-tiles").wait_for()


def latent(page: Page) -> None:
    """Half way between two clips."""
    for place, clip in (("latent-a", CLIP), ("latent-b", "LJ001-0005")):
        page.locator(f"#{place} input[type=file]").set_input_files(CLIPS / f"{clip}.flac")
        page.locator(f"#{place}").get_by_role("button", name="Play", exact=True).wait_for()
    page.locator("#between-button").click()
    page.locator("#latent-report .wf-tiles").wait_for()


def likelihood(page: Page) -> None:
    """A clip with a noisy second."""
    page.get_by_role("button", name=CLIP).locator("visible=true").click()
    page.locator("#likelihood-recording").get_by_role("button", name="Play", exact=True).wait_for()
    page.get_by_label("noise, 20 dB below").click()
    page.locator("#likelihood-button").click()
    page.locator("#likelihood-report .wf-tiles").wait_for()


def about(page: Page) -> None:
    """As it opens."""
    page.get_by_text("The default vocoder").wait_for()


def save(page: Page, name: str) -> None:
    """The whole page, in a palette of its own."""
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(1200)
    picture = Image.open(BytesIO(page.screenshot(full_page=True))).convert("RGB")
    path = FOLDER / f"demo-{name}.png"
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {picture.size}, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
