"""`adapt push` of a small model of each family: what plain transformers, and nothing of this project, makes of it."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from finished_runs import make_run
from huggingface_hub import ModelCard
from local_hub import LocalHub
from PIL import Image
from small_families import OF_BLOCKS, SMALL, of_images, small_segmenter
from torch import Tensor
from transformers import AutoModelForMaskGeneration

from adapt.cli import main
from adapt.errors import HubError, RunError
from adapt.families import FAMILIES, OWN_FAMILIES
from adapt.hub import check_plain
from adapt.hub.loaded import answers
from adapt.hub.processor import write_processor
from adapt.hub.stock import STOCK
from adapt.jobs.export import check_exportable
from adapt.jobs.tuned import load_tuned
from adapt.recipe import load_recipe
from adapt.segmenters import SegmenterSpec
from adapt.segmenters.segmenter import Segmenter

pytestmark = [
    # huggingface-hub 2.4 uploads by a keyword that its client deprecates
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning"),
]
REPO = "team/small"
TORCHVISION = find_spec("torchvision") is not None
PLAIN = [name for name in SMALL if name not in OWN_FAMILIES]
families = pytest.mark.parametrize("family", PLAIN)
PADDED = [name for name in PLAIN if small_segmenter(name).spec.fit == "pad"]
STRETCHED = [name for name in PLAIN if name not in PADDED]
ours = pytest.mark.parametrize("family", [name for name in SMALL if name in OWN_FAMILIES])


def run_of(family: str, folder: Path) -> Path:
    """A finished run of a small model."""
    small_segmenter(family).save(folder / "base")
    return make_run(folder / "runs", base=str(folder / "base"), size=None)


@families
def test_push_leaves_what_plain_transformers_loads_and_what_answers_as_the_run(
    family: str, hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(family, tmp_path)
    assert main(["push", str(run), "--repo", REPO]) == 0
    pushed = hub.repos[REPO].commits[-1]
    told = capsys.readouterr().out
    assert f"from transformers import {STOCK[family].model.__name__}, {STOCK[family].processor}\n" in told
    tuned = load_tuned(load_recipe(run / "recipe.yaml"), run)
    size = tuned.spec.image_size
    loaders = [STOCK[family].model, *([AutoModelForMaskGeneration] if family != "EdgeTAM" else [])]
    for loader in loaders:
        plain = loader.from_pretrained(REPO, revision=pushed.oid, dtype=torch.float32).eval()
        assert type(plain) is STOCK[family].model
        for one, other in zip(answers(plain, size), answers(of_images(tuned.model), size), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@families
def test_a_card_names_the_family_its_classes_and_what_they_need(family: str, tmp_path: Path) -> None:
    output = tmp_path / "package"
    assert main(["push", str(run_of(family, tmp_path)), "--repo", REPO, "--dry-run", "--output", str(output)]) == 0
    text = (output / "README.md").read_text(encoding="utf-8")
    stock = STOCK[family]
    assert f"A Segment Anything model ({family}) that" in text
    assert (
        text.count(f"{stock.model.__name__}.from_pretrained(") == text.count(f"{stock.processor}.from_pretrained(") == 2
    )
    assert all(package in text for package in stock.needs)
    assert ("are not those that the figures below were measured on" in text) is (family == "SAM-HQ")
    assert family.lower().replace(" ", "-") in (ModelCard(text).data.tags or [])


@pytest.mark.parametrize("family", PADDED)
def test_the_code_on_the_card_works_where_no_torchvision_is_needed(family: str, hub: LocalHub, tmp_path: Path) -> None:
    assert main(["push", str(run_of(family, tmp_path)), "--repo", REPO]) == 0
    card = ModelCard(hub.repos[REPO].commits[-1].files["README.md"].decode())
    code = card.text.split("```")[3].removeprefix("python")
    Image.new("RGB", (200, 150), (90, 120, 30)).save(tmp_path / "image.png")
    names: dict[str, object] = {}
    exec(code.replace("image.png", str(tmp_path / "image.png")), names)
    best = names["best"]
    assert isinstance(best, torch.Tensor) and (best.shape, best.dtype) == ((150, 200), torch.bool)


@ours
def test_push_of_a_family_of_our_own_says_how_it_is_loaded_and_it_answers_as_the_run(
    family: str, hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(family, tmp_path)
    assert main(["push", str(run), "--repo", REPO]) == 0
    pushed = hub.repos[REPO].commits[-1]
    told = capsys.readouterr().out
    assert f'segmenter = load_segmenter("{REPO}", revision="{pushed.oid}")' in told
    card = ModelCard(pushed.files["README.md"].decode())
    assert "Plain `transformers` has no class for it: the\npackage `adapt-sam` reads" in card.text
    assert "plain `transformers` loads" not in card.text and "it needs adapt-sam" in card.text
    assert card.data.library_name == "adapt-sam"
    assert {"config.json", "model.safetensors"} <= pushed.files.keys()
    assert not any("processor" in name or name.endswith((".py", ".bin", ".pth")) for name in pushed.files)
    (model_type,) = (name for name, of in FAMILIES.items() if of == family)
    with pytest.raises(ValueError, match=f"model type `{model_type}`"):
        AutoModelForMaskGeneration.from_pretrained(REPO, revision=pushed.oid)
    tuned = load_tuned(load_recipe(run / "recipe.yaml"), run)
    code = card.text.split("```")[3].removeprefix("python")
    wide_image().save(tmp_path / "image.png")
    names: dict[str, object] = {}
    exec(code.replace("image.png", str(tmp_path / "image.png")), names)
    segmenter, best = names["segmenter"], names["best"]
    assert isinstance(best, np.ndarray) and (best.shape, best.dtype) == ((150, 200), np.bool_)
    assert isinstance(segmenter, Segmenter)
    for one, other in zip(
        answers(segmenter.model, tuned.spec.image_size), answers(tuned.model, tuned.spec.image_size), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_an_adapter_on_a_family_that_plain_peft_puts_none_on_is_refused() -> None:
    check_plain("SAM 2")
    with pytest.raises(HubError, match=r"EdgeTamModel .* which peft asks for; push the merged model"):
        check_plain("EdgeTAM")
    with pytest.raises(HubError, match=r"no class for MobileSAM, .* push the merged model: leave out --adapter-only"):
        check_plain("MobileSAM")


def wide_image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((200, 150))


@pytest.mark.parametrize("family", PADDED)
def test_a_processor_prepares_images_as_this_project_does(family: str, tmp_path: Path) -> None:
    spec = small_segmenter(family).spec
    write_processor(spec, family, tmp_path)
    processor = getattr(transformers, STOCK[family].processor).from_pretrained(tmp_path)
    found = processor(wide_image(), input_points=[[[120, 80]]], return_tensors="pt")
    check_pixels(found["pixel_values"][0], spec)


def check_pixels(found: Tensor, spec: SegmenterSpec) -> None:
    """Of the wide image; a processor takes torchvision where it is, which rounds otherwise than Pillow."""
    grey = max(1 / value for value in spec.pixel_std)
    ours = spec.to_model_frame(np.asarray(wide_image()))
    torch.testing.assert_close(found, ours, atol=1.01 * grey if TORCHVISION else 1e-5, rtol=0)


@pytest.mark.skipif(not TORCHVISION, reason="needs torchvision")
@pytest.mark.parametrize("family", STRETCHED)
def test_a_processor_of_stretched_images_prepares_them_as_this_project_does(family: str, tmp_path: Path) -> None:
    spec = small_segmenter(family).spec
    write_processor(spec, family, tmp_path)
    processor = getattr(transformers, STOCK[family].processor).from_pretrained(tmp_path)
    prompt = {"input_points": [[[[120, 80]]]], "input_labels": [[[1]]]}
    found = processor(wide_image(), **prompt, return_tensors="pt")
    check_pixels(found["pixel_values"][0], spec)
    expected = torch.tensor([120 * spec.image_size / 200, 80 * spec.image_size / 150])
    torch.testing.assert_close(found["input_points"].flatten().float(), expected)


@pytest.mark.parametrize("family", STRETCHED)
def test_a_processor_says_that_images_are_stretched(family: str, tmp_path: Path) -> None:
    spec = small_segmenter(family).spec
    write_processor(spec, family, tmp_path)
    found = json.loads((tmp_path / "processor_config.json").read_bytes())
    assert found["image_processor"]["size"] == {"height": spec.image_size, "width": spec.image_size}
    assert "do_pad" not in found["image_processor"]
    assert found["processor_class"] == STOCK[family].processor
    assert hasattr(transformers, re.sub("Fast$", "", found["image_processor"]["image_processor_type"]))


@pytest.mark.parametrize("family", [name for name in OF_BLOCKS if name != "SAM"])
def test_export_refuses_a_family_that_it_would_take_for_another(family: str) -> None:
    check_exportable("SAM")
    with pytest.raises(RunError, match=rf"is a {family} model, and only SAM models are exported; fit one of those"):
        check_exportable(family)
