"""The card: what it says, and that no text of a recipe can be more than text in it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from finished_runs import scores
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from adapt.evaluate import summarise
from adapt.hub.card import CardFacts, card_text
from adapt.hub.markdown import fenced, one_line, plain
from adapt.recipe import CardSettings, Recipe, load_recipe

HOSTILE = [
    "---\nlicense: mit\n---",
    "# A heading",
    "</details><script>alert(1)</script>",
    "![x](https://evil.example/pixel.png)",
    "[click](javascript:alert(1))",
    "| a | b |",
    "``` \n````",
    "{{ facts.recipe }} {% raw %}",
    "@everyone https://evil.example www.evil.example",
    "\u202egnp.exe",
    "nuclei: {a: !!python/object/apply:os.system [ls]}",
]


def facts(
    *, card: CardSettings | None = None, category: str = "nucleus", more: dict[str, Any] | None = None
) -> CardFacts:
    results = summarise(scores(category=category), bootstrap_samples=200, seed=0)
    tree = {"data": {"kind": "folder", "root": "your-data"}, "model": {"checkpoint": "facebook/sam-vit-base"}}
    recipe = Recipe.model_validate_json(json.dumps({**tree, **(more or {})}))
    if card is not None:
        recipe = recipe.model_copy(update={"hub": recipe.hub.model_copy(update={"card": card})})
    return CardFacts(
        repo="team/sam-nuclei",
        recipe=recipe,
        left_out=["data.root"],
        name="nuclei",
        results=json.loads(json.dumps(results.as_dict())),
        family="SAM",
        input_size=1024,
        base_commit="a" * 40,
        adapter=False,
        pictures=[],
        version="0.1.0",
    )


def test_the_hub_reads_its_head() -> None:
    card = CardSettings(license="apache-2.0", dataset="team/slides", data="Slides of mice")
    data = ModelCard(card_text(facts(card=card))).data
    assert (data.license, data.datasets, data.base_model) == ("apache-2.0", "team/slides", "facebook/sam-vit-base")
    assert (data.pipeline_tag, data.library_name) == ("mask-generation", "transformers")
    found = {result.metric_name: result for result in data.eval_results}
    tuned = found["mIoU, one click, tuned model"]
    assert tuned.metric_value == pytest.approx(0.8)
    assert tuned.metric_args == {"interval": {"low": 0.7, "high": 0.9, "confidence": 0.95}}
    assert found["mIoU, one click, untouched model"].metric_value == pytest.approx(0.55)
    assert {result.dataset_type for result in data.eval_results} == {"team/slides"}


def test_what_nobody_said_is_not_claimed() -> None:
    text = card_text(facts())
    assert ModelCard(text).data.license is None
    assert "Licence of the data: not stated" in text
    assert "Intended use: not stated" in text


def test_both_models_stand_side_by_side_with_their_intervals() -> None:
    text = card_text(facts())
    assert "| one click | untouched | 0.550 | 0.500 to 0.600 | 0.550 |" in text
    assert "| one click | tuned | 0.800 | 0.700 to 0.900 | 0.800 |" in text
    assert "| one click | difference | +0.250 |" in text
    assert "| box | the box itself | 0.785 |" in text


def test_what_was_forgotten_and_how_well_it_knows_itself_are_told() -> None:
    known = facts()
    text = card_text(replace(known, results={**known.results, "retention": {"data": "photos", **known.results}}))
    assert "The same on general images (photos)" in text
    assert "| box | 0.550 | 0.800 | +0.250 |" in text
    assert "| one click | 0.350 | 0.100 |" in text
    assert "Not measured." in card_text(known)


def test_the_recipe_of_the_card_is_the_recipe(tmp_path: Path) -> None:
    known = facts(more={"description": "a\n```\nb"})
    inside = card_text(known).split("````yaml\n")[1].split("\n````")[0]
    (tmp_path / "recipe.yaml").write_text(inside, encoding="utf-8")
    assert load_recipe(tmp_path / "recipe.yaml") == known.recipe


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text: str) -> None:
    card = CardSettings(title=text, domain=text, data=text, data_license=text, intended_use=text, limits=text)
    known = replace(facts(card=card, category=text), name=text, left_out=[text])
    page = card_text(known)
    clean = card_text(facts(card=CardSettings(title="x", domain="x", data="x", data_license="x", limits="x")))
    head, body = (ModelCard(page).data.to_dict(), ModelCard(page).text)
    assert set(head) == set(ModelCard(clean).data.to_dict())
    outside = body.split("<details>")[0]
    headings = [line for line in outside.splitlines() if line.startswith("#")]
    assert len(headings) == len([line for line in clean.split("<details>")[0].splitlines() if line.startswith("#")])
    assert "<script" not in outside
    assert "](https://evil" not in outside and "](javascript" not in outside
    assert page.count("</details>") - text.count("</details>") * page.count(text) == 1
    assert "\u202e" not in outside
    assert all(
        line.count("|") - line.count("\\|") in (0, 4, 6) for line in outside.splitlines() if line.startswith("|")
    )


@given(st.text(max_size=80))
def test_any_text_becomes_one_line_that_no_style_is_left_in(text: str) -> None:
    found = plain(text)
    assert "\n" not in found and "\r" not in found and "<" not in found
    for special in "`*_[]|":
        assert found.count(special) == found.count(f"\\{special}")


@given(st.text(max_size=80))
def test_any_text_is_read_back_from_the_head_as_one_line(text: str) -> None:
    page = card_text(facts(card=CardSettings(title=text)))
    (index,) = yaml.safe_load(page.split("\n---\n")[0])["model-index"]
    assert index["name"] == (one_line(text) or index["name"])


def test_code_ends_where_its_fence_does() -> None:
    assert fenced("a\n````\nb\n", "yaml") == "`````yaml\na\n````\nb\n`````"
