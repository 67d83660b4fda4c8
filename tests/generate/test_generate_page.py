"""The page about automatic masks works as it is written."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "generate.md"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, PAGE, "exec"), {})
    masks, objects = map(int, re.findall(r"\d+", capsys.readouterr().out)[:2])
    assert masks >= objects > 3


def test_what_it_names_of_a_recipe_is_there() -> None:
    from adapt.recipe import Recipe

    named = set(re.findall(r"`((?:generate|evaluation\.automatic)\.\w+)", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 6
    for path in named:
        *sections, key = path.split(".")
        fields = Recipe.model_fields
        for section in sections:
            fields = fields[section].annotation.model_fields
        assert key in fields, path
