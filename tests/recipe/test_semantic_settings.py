"""`semantic.classes` chooses the mode, and what would then be read by nothing is refused."""

from pathlib import Path

import pytest

from adapt.errors import RecipeError
from adapt.recipe import Recipe, as_yaml, load_recipe

FOLDER = "data: {kind: folder, root: x}\nsemantic: {classes: [liver, spleen]}\n"


def read(folder: Path, *overrides: str) -> Recipe:
    path = folder / "mine.yaml"
    path.write_text(FOLDER, encoding="utf-8")
    return load_recipe(path, list(overrides))


def test_classes_are_read_and_written_in_their_order(tmp_path: Path) -> None:
    recipe = read(tmp_path, "semantic.classes=[spleen,liver]", "semantic.dice_weight=0.5", "loss.at=image")
    assert recipe.semantic.classes == ["spleen", "liver"]
    (tmp_path / "again.yaml").write_text(as_yaml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "again.yaml") == recipe


def test_without_classes_objects_are_prompted_as_ever(tmp_path: Path) -> None:
    assert read(tmp_path, "semantic.classes=[]", "prompts.corrections=1").semantic.classes == []


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("preset=sam2", "preset, prompts"),
        ("prompts.corrections=1", "prompts"),
        ("generate.points_per_side=8", "generate"),
        ("label.root=labels", "label"),
        ("curriculum=[{name: easy, change: {trainer.epochs: 1}}]", "curriculum"),
        ("evaluation.protocols=[box]", "evaluation.protocols"),
        ("evaluation.clicks=5", "evaluation.clicks"),
        ("evaluation.boundary_tolerance=2.0", "evaluation.boundary_tolerance"),
        ("trainer.objects_per_image=4", "trainer.objects_per_image"),
        ("trainer.stop_forgetting=0.1", "trainer.stop_forgetting"),
        ("loss.focal_weight=1.0", "loss.focal_weight"),
    ],
)
def test_what_is_of_prompts_is_refused_by_its_key(tmp_path: Path, override: str, named: str) -> None:
    more = ["hub.repo=a/b", "hub.card.license=mit"] if override.startswith("hub") else []
    with pytest.raises(RecipeError, match=f"nothing is prompted, and {named}"):
        read(tmp_path, override, *more)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("semantic.classes=[liver,liver]", "a class is named twice: liver, liver"),
        ("semantic.classes=[liver,background]", "background is none of them"),
        ("semantic.clases=[liver]", "did you mean classes"),
        ("loss.at=points", "set mask or image"),
    ],
)
def test_bad_values_are_refused(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read(tmp_path, override)


def test_a_frozen_decoder_is_refused_since_the_tokens_lie_in_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"tuning\.decoder is false, but the tokens of semantic\.classes"):
        read(tmp_path, "tuning.mode=lora", "tuning.decoder=false")


def test_what_sam_hq_has_added_cannot_learn_classes_alone(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"tuning\.layers hq leaves the tokens of semantic\.classes as they are"):
        read(tmp_path, "tuning.mode=decoder", "tuning.layers=hq")
