"""`concepts.learn` chooses what is learnt, and what would then be read by nothing is refused."""

from pathlib import Path

import pytest

from adapt.errors import RecipeError
from adapt.recipe import Recipe, load_recipe

FOLDER = "data: {kind: folder, root: x}\nconcepts: {learn: true}\n"


def read(folder: Path, *overrides: str) -> Recipe:
    path = folder / "mine.yaml"
    path.write_text(FOLDER, encoding="utf-8")
    return load_recipe(path, list(overrides))


def test_the_detector_trains_by_default_or_lora_in_it(tmp_path: Path) -> None:
    assert read(tmp_path, "concepts.absent=0").tuning.mode == "decoder"
    assert read(tmp_path, "tuning.mode=lora", "tuning.decoder=false", "tuning.targets=[decoder_attention]")
    assert not read(tmp_path, "concepts.learn=false", "prompts.corrections=1").concepts.learn


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("prompts.corrections=1", "nothing is prompted, so prompts cannot be set"),
        ("loss.dice_weight=2.0", "so loss cannot"),
        ("semantic.classes=[liver]", "so semantic cannot"),
        ("clips.length=4", "so clips cannot"),
        ("trainer.objects_per_image=4", "so trainer.objects_per_image cannot"),
        ("trainer.strategy=fsdp2", "so trainer.strategy cannot"),
        ("evaluation.clicks=3", "so evaluation cannot"),
        ("model.weights=random", "so model.weights cannot"),
        ("tuning.mode=full", "tuning.mode full cannot go with concepts.learn"),
        ("tuning.mode=text_token", "tuning.mode text_token cannot go with concepts.learn"),
        ("tuning.mode=lora", "set tuning.decoder to false"),
        ("tuning.prompt_encoder=true", "is the text encoder"),
        ("concepts.present=0", "greater than or equal to 1"),
    ],
)
def test_what_does_not_go_with_concepts_is_refused_by_its_key(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read(tmp_path, override)
