"""Take the screenshots of the Dagster UI that README.md shows, from a running `dagster dev`.

pip install playwright        (it drives an installed Chromium; --chromium names another one)
python scripts/screenshot_ui.py http://127.0.0.1:3000 docs/images
"""

import argparse
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

# Chromium's own traffic to update servers and the like: of no use here, and slow where there is no network.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where the UI is")
    parser.add_argument("output", type=Path, help="folder for the pictures")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser's executable")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=QUIET)
        page = browser.new_page()
        graph(page, arguments.url, arguments.output / "graph.png")
        asset(page, arguments.url, "dpo_model", arguments.output / "dpo_model.png")
        browser.close()


def graph(page: Page, url: str, path: Path) -> None:
    """The asset graph."""
    page.set_viewport_size({"width": 1900, "height": 1650})  # large enough for the whole graph
    page.goto(f"{url}/asset-groups")
    page.get_by_text("models").first.wait_for()
    page.wait_for_timeout(2000)  # the layout settles without an event to wait for
    page.keyboard.press("Alt+e")  # opens every group
    page.get_by_text("dpo_model").first.wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=path)


def asset(page: Page, url: str, name: str, path: Path) -> None:
    """The page of one asset, with the metadata of its last materialization."""
    page.set_viewport_size({"width": 1600, "height": 900})
    page.goto(f"{url}/assets/{name}?view=events")
    page.get_by_text("held-out metrics").first.wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=path, full_page=True)
    page.get_by_text("[Show Markdown]").first.click()
    page.wait_for_timeout(1000)
    page.screenshot(path=path.with_name("curves.png"))


if __name__ == "__main__":
    main()
