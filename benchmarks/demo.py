"""What a click in the demo costs: the decode, what is beyond it, and the round trip that the browser sees.

    python benchmarks/demo.py [--model adapt:tiny | vit-b | FOLDER] [--side 1024] [--clicks 20] [--chromium chromium]

`vit-b` is Segment Anything's ViT-B with random weights, which takes as long as the trained one. Two models, the same
twice, stand side by side, as untouched and tuned do. `beyond the decode` is all that Python does for a click beside the
decoders: masks to the size of the picture, outlines, PNG, JSON apart; wanted below 100 ms. The round trip ends when the
browser has drawn the masks of both; without chromium and chromedriver that row is left out. A first click of each image
has three candidates, which is the dearest answer, so each click is cleared before the next. Medians.
"""

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from transformers import SamConfig, SamModel

from adapt.demo import Look, Models, Tab, Tabs, inputs_of
from adapt.recipe import find_recipe, load_recipe
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.segmenters.sam import sam_segmenter

MODELS = ("untouched", "tuned")
WANTED = 0.1
"""Seconds beyond the decode, at most."""
DATA = "document.querySelector('[data-turn]').dataset"
"""Where the page keeps the number of the last answer, and how long it took."""


def load_model(name: str) -> PromptableSegmenter:
    """`vit-b` with random weights, or what a recipe's `model.checkpoint` may name."""
    return sam_segmenter(SamModel(SamConfig()).eval()) if name == "vit-b" else load_segmenter(name)


def measure_python(tab: Tab, clicks: int) -> dict[str, list[float]]:
    """Seconds of each part of each click, without a browser."""
    found: dict[str, list[float]] = {"encode, once an image": [tab.encode()["seconds"]["encode"]]}
    for _ in range(clicks):
        seconds = tab.click(0.5, 0.5, 1)["seconds"]  # where the browser clicks
        tab.clear()
        found.setdefault("decode, both models", []).append(seconds["decode"])
        found.setdefault("beyond the decode", []).append(seconds["beyond"])
    return found


def measure_browser(tabs: Tabs, image: Path, clicks: int, chromium: str) -> list[float]:
    """Seconds of each round trip, from the click to the masks on the screen."""
    from selenium import webdriver
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.support.ui import WebDriverWait

    from adapt.demo.page import make_page
    from adapt.demo.server import listen, make_server, private_uploads

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1200"):
        options.add_argument(argument)
    options.binary_location = chromium
    offered = inputs_of(image, [load_recipe(find_recipe("folder")).data])
    with private_uploads(), listen(0) as listening:
        server = make_server(
            lambda: make_page(tabs, models=MODELS, title="benchmark", facts="", offered=offered), listening
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            service = webdriver.ChromeService(shutil.which("chromedriver"))
            with webdriver.Chrome(options=options, service=service) as driver:
                wait = WebDriverWait(driver, 600, poll_frequency=0.02)
                driver.get(f"http://127.0.0.1:{listening.getsockname()[1]}/")
                wait.until(lambda _: "Ready" in driver.find_element("css selector", "#bench .status").text)
                canvas = driver.find_element("css selector", "section > canvas")

                def answered(deed: Callable[[], object]) -> float:
                    turn = driver.execute_script(f"return {DATA}.turn")
                    deed()
                    wait.until(lambda _: driver.execute_script(f"return {DATA}.turn") != turn)
                    return float(driver.execute_script(f"return {DATA}.roundTrip")) / 1000

                found = []
                for _ in range(clicks):
                    found.append(answered(ActionChains(driver).click(canvas).perform))
                    answered(driver.find_element("css selector", ".clear").click)
                return found
        finally:
            server.should_exit = True
            thread.join()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="adapt:tiny")
    parser.add_argument("--side", type=int, default=1024, help="of the image, pixels")
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    segmenters = {name: load_model(options.model) for name in MODELS}
    for segmenter in segmenters.values():
        segmenter.to(device).eval()
    models = Models(segmenters, device, kept=1)
    readers = [load_recipe(find_recipe("folder")).data]
    tabs = Tabs(lambda: Tab(models, Look(readers, options.side), about={}), most=2)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "noise.png"
        small = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
        Image.fromarray(small).resize((options.side, options.side), Image.Resampling.BICUBIC).save(image)
        ((one, settings),) = inputs_of(image, readers)
        tab = tabs.begin("python")
        tab.open_input(one, settings)
        rows = measure_python(tab, options.clicks)
        if options.chromium is not None:
            rows["round trip in the browser"] = measure_browser(tabs, image, options.clicks, options.chromium)
    table = Table(title=f"A click on {options.side} x {options.side} pixels, two models, {options.model} on {device}")
    for column in ("part", "median ms", "least", "most"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, seconds in rows.items():
        table.add_row(name, *(f"{1000 * of(seconds):.1f}" for of in (statistics.median, min, max)))
    console = Console(width=max(Console().width, 100))
    console.print(table)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    console.print(
        f"wanted beyond the decode: below {1000 * WANTED:.0f} ms; {os.cpu_count()} cores, load {load} (1, 5, 15 min), "
        f"torch {torch.__version__} with {torch.get_num_threads()} threads, {platform.machine()}, "
        f"Python {platform.python_version()}",
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
