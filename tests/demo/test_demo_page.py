"""The real page in Chromium: mouse, keyboard, files, tabs, and where its requests go; the segmenter is exact."""

import http.client
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from exact_segmenter import SIDE, ExactSegmenter, discs
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from adapt.datamodules.generated.ct import write_phantom
from adapt.demo import Look, Models, Tab, Tabs, inputs_of
from adapt.demo.page import make_page
from adapt.demo.server import listen, make_server, private_uploads
from adapt.recipe import find_recipe, load_recipe

DISCS = discs(SIDE, SIDE, count=5, seed=3, largest=9)
PATIENCE = 60
"""Seconds until a page that does not answer has failed."""
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1200")


@dataclass(frozen=True)
class Served:
    port: int
    models: dict[str, ExactSegmenter]
    folder: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page with two images to pick from."""
    folder = tmp_path_factory.mktemp("offered")
    for name in ("a.png", "b.png"):
        Image.fromarray(DISCS if name == "a.png" else np.flipud(DISCS)).save(folder / name)
    readers = [load_recipe(find_recipe(name)).data for name in ("folder", "quickstart")]
    exact = {"untouched": ExactSegmenter(), "tuned": ExactSegmenter()}
    models = Models(exact, torch.device("cpu"), kept=4)
    tabs = Tabs(lambda: Tab(models, Look(readers, 256), about={"model": "exact"}), most=4)
    with private_uploads(), listen(0) as listening:
        offered = inputs_of(folder, readers)
        server = make_server(
            lambda: make_page(tabs, models=list(exact), title="<b>exact</b>", facts="for a test", offered=offered),
            listening,
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield Served(listening.getsockname()[1], exact, folder)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads: Path) -> Iterator[webdriver.Chrome]:
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        if os.environ.get("CI"):
            pytest.fail("chromium and chromedriver are not there; .ci/run installs them")
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.binary_location = str(programs[0])
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(str(programs[1]))) as driver:
        yield driver


def wait(found: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < end, "the page does not answer"
        time.sleep(0.02)


class Page:
    """What a person sees and does; every deed waits for its answer."""

    def __init__(self, driver: webdriver.Chrome, port: int) -> None:
        self.driver = driver
        driver.get(f"http://127.0.0.1:{port}/")
        self.until_ready()

    def all(self, query: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, f"#bench {query}")

    def text(self, query: str) -> str:
        return next((element.text for element in self.all(query)), "")

    def until_ready(self, name: str = "") -> None:
        wait(lambda: "Ready" in self.text(".status") and self.text(".name").startswith(name))

    def turn(self) -> int:
        return int(self.driver.execute_script("return document.querySelector('[data-turn]').dataset.turn"))

    def answered(self, deed: Callable[[], object]) -> None:
        before = self.turn()
        deed()
        wait(lambda: self.turn() > before)

    def canvas(self, model: str = "tuned") -> WebElement:
        return self.all(f"section[data-model={model}] > canvas")[0]

    def spot(self, x: float, y: float, model: str) -> tuple[int, int]:
        """Where a pixel of the image is in the window."""
        rectangle = "const r = arguments[0].getBoundingClientRect(); return [r.left, r.top, r.width, r.height]"
        left, top, width, height = self.driver.execute_script(rectangle, self.canvas(model))
        return round(left + (x + 0.5) / SIDE * width), round(top + (y + 0.5) / SIDE * height)

    def mouse(self, *moves: tuple[float, float], button: str = "left", model: str = "tuned") -> None:
        """A click, or with several places a drag."""
        actions = ActionBuilder(self.driver)
        pointer = actions.pointer_action
        pointer.move_to_location(*self.spot(*moves[0], model))
        if len(moves) == 1:
            (pointer.click if button == "left" else pointer.context_click)()
        else:
            pointer.pointer_down()
            for move in moves[1:]:
                pointer.move_to_location(*self.spot(*move, model))
            pointer.pointer_up()
        self.answered(actions.perform)

    def keys(self, *keys: str) -> None:
        self.driver.switch_to.active_element.send_keys(*keys)

    def send(self, path: Path) -> None:
        query = (By.CSS_SELECTOR, "#drop input[type=file]")
        wait(lambda: self.driver.find_elements(*query))  # it is away as long as the file before is being read
        self.driver.find_element(*query).send_keys(str(path))


@pytest.fixture
def page(browser: webdriver.Chrome, served: Served) -> Page:
    return Page(browser, served.port)


def middle(value: int, picture: np.ndarray = DISCS) -> tuple[float, float]:
    rows, columns = np.nonzero(picture == value)
    place = len(rows) // 2
    return float(columns[place]), float(rows[place])


def test_a_left_click_is_answered_by_both_models_with_their_candidates(page: Page, served: Served) -> None:
    page.mouse(middle(4))
    for model in ("untouched", "tuned"):
        share = 100 * (DISCS == 4).mean()
        assert f"predicted IoU 0.97, mask {share:.1f} %" in page.text(f"section[data-model={model}] .figure")
        candidates = page.all(f"section[data-model={model}] .candidates button")
        assert [button.text for button in candidates] == ["0.10", "0.10", "0.97"]
        assert [button.get_attribute("aria-checked") for button in candidates] == ["false", "false", "true"]
        prompts, multimask = served.models[model].decoded[-1]
        assert prompts.points[0, 0, 0].tolist() == pytest.approx(middle(4), abs=0.3) and multimask
        assert prompts.point_labels.tolist() == [[[1]]]


def test_the_mask_that_is_drawn_is_where_the_object_is(page: Page) -> None:
    page.mouse(middle(4))
    pixels = page.driver.execute_script(
        "const c = arguments[0]; return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]",
        page.canvas(),
    )
    drawn = np.array(pixels, dtype=np.uint8).reshape(4 * SIDE, 4 * SIDE, 4)[2::4, 2::4]
    blue = drawn[..., 2].astype(int) - drawn[..., 0] > 40
    inside = DISCS == 4
    column, row = map(int, middle(4))
    inside[row - 3 : row + 4, column - 3 : column + 4] = blue[row - 3 : row + 4, column - 3 : column + 4]  # the click
    assert np.array_equal(blue, inside)


def test_a_right_click_takes_away_a_drag_is_a_box_and_z_undoes(page: Page, served: Served) -> None:
    page.mouse(middle(1), button="right")
    assert "begin with a left click" in page.text(".fault")
    page.mouse(middle(1))
    assert page.text(".fault") == ""
    page.mouse(middle(2), button="right", model="untouched")
    prompts, _ = served.models["tuned"].decoded[-1]
    assert prompts.point_labels.tolist() == [[[1, 0]]] and prompts.masks is not None
    assert prompts.points[0, 0, 1].tolist() == pytest.approx(middle(2), abs=0.3)
    page.mouse((40, 44), (30, 30), (8, 12))
    prompts, _ = served.models["tuned"].decoded[-1]
    assert prompts.boxes[0, 0].tolist() == pytest.approx([8, 12, 40, 44], abs=0.3)
    decoded = len(served.models["tuned"].decoded)
    for _ in range(3):
        page.answered(lambda: page.keys("z"))
    assert not page.all(".undo")[0].is_enabled() and page.text(".figure") == ""
    assert len(served.models["tuned"].decoded) == decoded


def test_another_candidate_is_chosen_for_one_model_alone(page: Page) -> None:
    page.mouse(middle(1))
    page.answered(page.all("section[data-model=untouched] .candidates button")[0].click)
    assert "predicted IoU 0.10" in page.text("section[data-model=untouched] .figure")
    assert "predicted IoU 0.97" in page.text("section[data-model=tuned] .figure")


def test_the_mask_arrives_as_a_file_of_the_image_s_size(page: Page, downloads: Path) -> None:
    page.mouse(middle(3))
    page.answered(page.all("section[data-model=tuned] .save[data-kind=png]")[0].click)
    assert "a_tuned.png was handed to the browser" in page.text(".status")
    wait(lambda: (downloads / "a_tuned.png").is_file())
    assert np.array_equal(np.asarray(Image.open(downloads / "a_tuned.png")) == 255, DISCS == 3)


def test_without_a_mouse_the_arrows_and_enter_click(page: Page, served: Served) -> None:
    page.driver.execute_script("arguments[0].focus()", page.canvas())
    page.keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.SHIFT + Keys.ARROW_UP + Keys.NULL)
    page.answered(lambda: page.keys(Keys.ENTER))
    prompts, _ = served.models["tuned"].decoded[-1]
    assert prompts.points[0, 0, 0].tolist() == pytest.approx([0.48 * SIDE - 0.5, 0.45 * SIDE - 0.5], abs=0.01)
    page.answered(lambda: page.keys(Keys.BACKSPACE))
    assert served.models["tuned"].decoded[-1][0].point_labels.tolist() == [[[1, 0]]]


def test_a_file_of_one_s_own_is_shown_and_one_that_cannot_be_read_is_told(page: Page, tmp_path: Path) -> None:
    page.mouse(middle(1))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    page.send(tmp_path / "broken.png")
    wait(lambda: "broken.png: cannot be read" in page.text(".fault"))
    assert page.text(".fault").startswith("broken.png") and page.text(".figure")  # the image before is still there
    write_phantom(tmp_path / "scans", patients=1, seed=3)
    page.send(tmp_path / "scans" / "images" / "patient_00.nii.gz")
    page.until_ready("patient_00.nii.gz")
    slider = page.all(".parts input")[0]
    before = int(slider.get_attribute("value") or 0)
    page.answered(lambda: slider.send_keys(Keys.ARROW_RIGHT))
    page.until_ready()
    assert page.text(".parts output").startswith(f"{before + 1} (0 to ")
    assert sent_files() == ["patient_00.nii.gz"]  # the other is gone
    page.driver.get("about:blank")
    wait(lambda: sent_files() == [])


def sent_files() -> list[str]:
    """What the server keeps of the files that were sent; Gradio leaves empty ones as well."""
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    return [path.name for path in folder.rglob("*") if path.is_file() and path.stat().st_size]


def test_two_tabs_do_not_mix(page: Page, served: Served) -> None:
    driver, first = page.driver, page.driver.current_window_handle
    page.mouse(middle(1))
    figure = page.text(".figure")
    driver.switch_to.new_window("tab")
    try:
        other = Page(driver, served.port)
        assert other.text(".figure") == ""
        other.mouse(middle(2))
        other.answered(lambda: other.keys("z"))
    finally:
        driver.close()
        driver.switch_to.window(first)
    page.mouse(middle(3), button="right")
    assert served.models["tuned"].decoded[-1][0].point_labels.tolist() == [[[1, 0]]]
    page.answered(lambda: page.keys("z"))
    assert page.text(".figure") == figure


def test_an_image_that_is_looked_at_again_is_not_encoded_again(page: Page, served: Served) -> None:
    page.mouse(middle(1))
    runs = [model.encoded for model in served.models.values()]
    again = Page(page.driver, served.port)
    again.mouse(middle(2))
    again.mouse(middle(3), button="right")
    assert [model.encoded for model in served.models.values()] == runs


def test_the_title_is_shown_and_not_obeyed(page: Page) -> None:
    assert page.driver.find_element(By.TAG_NAME, "h1").text == "<b>exact</b>"


def test_every_request_of_the_page_went_to_this_machine(page: Page, served: Served) -> None:
    page.mouse(middle(1))
    asked, refused = [], []
    for entry in page.driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
        if message["method"] == "Network.responseReceived" and message["params"]["response"]["status"] >= 400:
            refused.append(message["params"]["response"]["url"])
    assert any("/gradio_api/run/" in url for url in asked) and any("/assets/" in url for url in asked)
    outside = [url for url in asked if urlsplit(url).netloc != f"127.0.0.1:{served.port}"]
    assert [url for url in outside if not url.startswith(("data:", "blob:"))] == [] == refused


ROUTES = ("/file=", "/gradio_api/file=", "/gradio_api/file/", "/static/", "/assets/", "/gradio_api/proxy=file:")


def get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()


def test_no_file_of_this_machine_is_served(served: Served) -> None:
    secret = served.folder / "secret.txt"
    secret.write_text("the secret", encoding="utf-8")
    upload = Path(os.environ["GRADIO_TEMP_DIR"]) / "scan.txt"
    upload.write_text("the secret", encoding="utf-8")
    for path in (secret, upload, served.folder / "a.png", Path("pyproject.toml").resolve()):
        dots = f"../../../../../../../../..{path}"
        for route in (
            "/file=",
            "/gradio_api/file=",
            "/gradio_api/file/",
            "/static/",
            "/assets/",
            "/gradio_api/proxy=file:",
        ):
            for asked in (str(path), dots, dots.replace("/", "%2f"), dots.replace("..", "%2e%2e")):
                status, content = get(served.port, route + asked)
                assert status in (403, 404) and b"secret" not in content, route + asked


def test_a_stranger_s_page_gets_nothing(served: Served) -> None:
    assert get(served.port, "/")[0] == 200
    assert get(served.port, "/config", Host="evil.example")[0] == 403
    assert get(served.port, "/config", Origin="http://evil.example")[0] == 403


def test_no_other_machine_can_reach_it() -> None:
    with listen(0) as listening:
        assert listening.family == socket.AF_INET and listening.getsockname()[0] == "127.0.0.1"
