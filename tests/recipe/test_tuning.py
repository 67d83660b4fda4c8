"""`tuning` in a recipe: each mode has its own keys, and decoder is the default."""

from pathlib import Path

import pytest

from adapt.errors import RecipeError
from adapt.recipe import DecoderTuning, LoraTuning, Recipe, as_yaml, load_recipe, stages
from adapt.recipe.tuning import INSERTING, InsertingTuning

FOLDER = "data: {kind: folder, root: x}\n"


def read(folder: Path, text: str, *overrides: str) -> Recipe:
    path = folder / "mine.yaml"
    path.write_text(FOLDER + text, encoding="utf-8")
    return load_recipe(path, list(overrides))


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("", (), DecoderTuning()),
        ("tuning: {mode: decoder, prompt_encoder: false}\n", (), DecoderTuning()),
        ("tuning: {prompt_encoder: true}\n", (), DecoderTuning(prompt_encoder=True)),
        ("", ("tuning.prompt_encoder=true",), DecoderTuning(prompt_encoder=True)),
        ("", ("tuning.mode=lora", "tuning.rank=4"), LoraTuning(rank=4)),
        ("", ("tuning.rank=4", "tuning.mode=lora"), LoraTuning(rank=4)),
        ("tuning: {mode: decoder, prompt_encoder: true}\n", ("tuning.mode=lora",), LoraTuning()),
        ("tuning: {mode: lora, rank: 2}\n", ("tuning.mode=lora",), LoraTuning(rank=2)),
        (
            "",
            ("tuning.mode=lora", "tuning.targets=[key]", "tuning.blocks=half"),
            LoraTuning(targets=["key"], blocks="half"),
        ),
        ("tuning: {mode: lora, blocks: 3, encoder_bits: 4}\n", (), LoraTuning(blocks=3, encoder_bits=4)),
    ],
)
def test_a_mode_is_chosen_with_its_own_keys(
    tmp_path: Path, text: str, overrides: tuple[str, ...], expected: object
) -> None:
    recipe = read(tmp_path, text, *overrides)
    assert recipe.tuning == expected
    (tmp_path / "again.yaml").write_text(as_yaml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "again.yaml") == recipe


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "tuning: {mode: decoder, rank: 8}\n",
            "tuning.rank = 8\n      unknown key; it is a key of mode: lora, loha, vera;",
        ),
        ("tuning: {rank: 8}\n", "it is a key of mode: lora, loha, vera; allowed: mode, layers, prompt_encoder"),
        ("tuning: {mode: lora, rnk: 8}\n", "unknown key; did you mean rank?"),
        ("tuning: {mode: lora, rank: 0}\n", "tuning.rank = 0"),
        (
            "tuning: {mode: lora, targets: [qury]}\n",
            "query, key, value, proj, mlp, decoder_attention; did you mean query?",
        ),
        ("tuning: {mode: lora, targets: []}\n", "tuning.targets = []"),
        ("tuning: {mode: lora, targets: [key, key]}\n", "a target is named twice"),
        ("tuning: {mode: lora, blocks: 0}\n", "tuning.blocks = 0"),
        ("tuning: {mode: lora, blocks: last}\n", "allowed: all, half"),
        ("tuning: {mode: lora, encoder_bits: 2}\n", "allowed: 4, 8"),
        ("tuning: {mode: lora, dropout: 1.0}\n", "tuning.dropout = 1.0"),
        ("tuning: {mode: lorra}\n", "mode must be one of: decoder, norm, lora"),
        ("tuning: lora\n", "tuning = 'lora'"),
        ("tuning: {mode: lora, targets: [decoder_attention]}\n", "set tuning.decoder to false"),
        (
            "tuning: {mode: lora, encoder_bits: 4}\ntrainer: {strategy: fsdp2}\n",
            "set encoder_bits to null, or strategy",
        ),
        ("tuning: {mode: text_token}\ntrainer: {strategy: fsdp2}\n", "cannot go with trainer.strategy fsdp2"),
        (
            "tuning: {mode: text_token}\nclips: {length: 2}\nloss: {presence_weight: 1.0}\n",
            "cannot go with clips.length above 1",
        ),
        (
            "tuning: {mode: text_token, decoder: true}\nsemantic: {classes: [liver]}\n",
            "cannot go with semantic.classes",
        ),
        ("semantic: {classes: [liver]}\ntrainer: {strategy: fsdp2}\n", "fsdp2 is not tested with semantic.classes"),
        ("trainer: {strategy: fsdp}\n", "allowed: ddp, fsdp2"),
        ("trainer: {strategy: fsdp2, compile: true}\n", "set compile to false, or strategy"),
    ],
)
def test_a_wrong_key_or_value_is_answered_with_what_is_right(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, text)
    assert expected in str(caught.value)
    assert "mine.yaml:2" in str(caught.value) or "(the recipe)" in str(caught.value)


def test_a_stage_of_another_mode_leaves_the_run_s_own_keys_behind(tmp_path: Path) -> None:
    change = "{tuning.mode: full, tuning.drop_path: 0.1}"
    text = f"tuning: {{prompt_encoder: true}}\ncurriculum:\n- {{name: first, change: {change}}}\n"
    ((_, stage),) = stages(read(tmp_path, text))
    assert stage.tuning.model_dump() == {"mode": "full", "drop_path": 0.1}


@pytest.mark.parametrize(
    "text",
    [
        "tuning: {mode: lora}\ncurriculum:\n- {name: first, change: {prompts.box_chance: 1.0}}\n",
        "curriculum:\n- {name: first, change: {tuning.mode: adapter}}\n",
    ],
)
def test_what_is_inserted_trains_in_one_go(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match="cannot go with a curriculum"):
        read(tmp_path, text)


def test_the_inserting_modes_are_listed_whole() -> None:
    modes = {mode.model_fields["mode"].default for mode in InsertingTuning.__args__}
    assert modes == INSERTING
