"""Take the picture of the chat that README.md shows, from a running `galileu chat`.

pip install playwright pillow        (playwright drives an installed Chromium; --chromium names another one)
python scripts/screenshot_chat.py http://127.0.0.1:7860 docs/images/chat.png
"""

import argparse
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from screenshot_ui import QUIET

QUESTION = "Quem é você?"
PATIENCE_MS = 120_000
GAP, COLORS = 24, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where the chat is")
    parser.add_argument("output", type=Path, help="the PNG to write")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's executable")
    arguments = parser.parse_args()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=QUIET)
        pictures = [chat(browser, arguments.url), side_by_side(browser, arguments.url)]
        browser.close()
    width, height = sum(picture.width for picture in pictures) + GAP, max(picture.height for picture in pictures)
    whole = Image.new("RGB", (width, height), "white")
    whole.paste(pictures[0], (0, 0))
    whole.paste(pictures[1], (pictures[0].width + GAP, 0))
    whole.quantize(COLORS).save(arguments.output, optimize=True)


def chat(browser: Browser, url: str) -> Image.Image:
    """A question answered and rated, on a desktop."""
    page = open_page(browser, url, 1100, 1050)
    page.locator("#question textarea").fill(QUESTION)
    page.locator("#send").click()
    expect(page.locator("#send-comment")).to_be_enabled()
    page.locator("#chat [aria-label='Gostei']").last.click()
    page.locator(".toast-close").last.click()
    page.locator("#rating input[type=radio]").nth(3).click()
    page.locator(".toast-close").last.click()
    expect(page.locator(".toast-close")).to_have_count(0)
    return shot(page)


def side_by_side(browser: Browser, url: str) -> Image.Image:
    """A vote between two models, on a phone."""
    page = open_page(browser, url, 390, 1050)
    page.get_by_role("tab").nth(1).click()
    page.locator("#compare-question textarea").fill(QUESTION)
    page.locator("#compare-ask").click()
    expect(page.locator("#vote-left")).to_be_enabled()
    page.locator("#vote-left").click()
    expect(page.locator("#revealed")).to_contain_text("_model-")
    page.locator(".toast-close").last.click()
    expect(page.locator(".toast-close")).to_have_count(0)
    return shot(page)


def open_page(browser: Browser, url: str, width: int, height: int) -> Page:
    context = browser.new_context(viewport={"width": width, "height": height}, locale="pt-BR")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    return page


def shot(page: Page) -> Image.Image:
    return Image.open(BytesIO(page.screenshot()))


if __name__ == "__main__":
    main()
