"""Reading a recipe: the cut-down YAML, overrides, and the way back to YAML."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.errors import RecipeError
from adapt.recipe import Recipe, as_yaml, find_recipe, load_recipe, recipe_names
from adapt.recipe.load import MAX_BYTES, parse_yaml

MINIMAL = "data: {kind: folder, root: x}\n"


def _write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _refusal(path: Path, overrides: list[str] | None = None) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),  # PyYAML itself reads a text
        ("1.", 1.0),
        (".5", 0.5),
        ("-3E2", -300.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("12", 12),
        ("-7", -7),
        ("010", 10),  # PyYAML itself reads octal
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("12:30:45", "12:30:45"),  # PyYAML itself reads base 60
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", {}),
        ("2026-01-31", "2026-01-31"),
        ("'1e-4'", "1e-4"),
        ('"true"', "true"),
        ("[1, no, {a: 2.5}]", [1, "no", {"a": 2.5}]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    tree = parse_yaml(text, name="here").tree
    assert tree == value
    assert type(tree) is type(value)


def test_nan_is_read_and_left_for_the_schema() -> None:
    tree = parse_yaml(".nan", name="here").tree
    assert isinstance(tree, float) and math.isnan(tree)


def test_keys_are_always_words() -> None:
    assert parse_yaml("{1: a, true: b, null: c}", name="here").tree == {"1": "a", "true": "b", "null": "c"}


def test_each_key_knows_its_line() -> None:
    source = parse_yaml("a: 1\nb:\n  c:\n  - x\n  - y\n", name="here")
    assert source.lines[("a",)] == 1
    assert source.lines[("b",)] == 2
    assert source.lines[("b", "c")] == 3
    assert source.lines[("b", "c", 1)] == 5


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' is given twice (first on line 1)"),
        ("x:\n  a: 1\n  a: 2\n", 3, "key 'a' is given twice (first on line 2)"),
        ("a: &name [1]\nb: *name\n", 2, "aliases (*name) are not read"),
        ("a: 1\nb: !!python/object/apply:os.system [touch x]\n", 2, "plain data only"),
        ("b: !!python/name:os.system\n", 1, "plain data only"),
        ("b: !mine {a: 1}\n", 1, "tag !mine is not read"),
        ("b: !!set {a}\n", 1, "plain data only"),
        ("b: !!binary aGVsbG8=\n", 1, "plain data only"),
        ("? [a, b]\n: 1\n", 1, "a key must be a word"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a: [1\n", 2, "expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", 2, "cannot start any token"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    path = _write(tmp_path, text)
    message = _refusal(path)
    assert message.startswith(f"{path}:{line}: not a readable YAML recipe: ")
    assert complaint in message


def test_the_bomb_of_aliases_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "aliases" in _refusal(_write(tmp_path, "\n".join(lines)))


def test_no_code_runs_from_a_tag(tmp_path: Path) -> None:
    trace = tmp_path / "was_run"
    text = f"seed: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{trace}']]\n"
    _refusal(_write(tmp_path, text))
    assert not trace.exists()


@pytest.mark.parametrize("depth", [150, 300, 5000])
def test_deep_nesting_is_refused_and_no_crash(tmp_path: Path, depth: int) -> None:
    _refusal(_write(tmp_path, MINIMAL + "seed: " + "[" * depth + "]" * depth))


def test_a_number_too_long_for_python_is_refused(tmp_path: Path) -> None:
    assert "not a readable YAML recipe" in _refusal(_write(tmp_path, MINIMAL + "seed: " + "9" * 5000))


def test_a_control_character_is_refused(tmp_path: Path) -> None:
    assert "special characters are not allowed" in _refusal(_write(tmp_path, MINIMAL + "output: a\x07\n"))


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    _refusal(_write(tmp_path, MINIMAL + 'output: "\\ud800"\n'))


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    assert load_recipe(_write(tmp_path, "\ufeff" + MINIMAL)).data.root == "x"


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL + "#" * MAX_BYTES)
    assert _refusal(path) == f"{path}: larger than 1,000,000 bytes; this is not a recipe"


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(MINIMAL.encode() + "description: Zürich".encode("latin-1"))
    assert _refusal(path).startswith(f"{path}: cannot be read as a UTF-8 text")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in _refusal(tmp_path / "none.yaml")
    assert "cannot be read" in _refusal(tmp_path)  # a folder


@pytest.mark.parametrize(("text", "kind"), [("[1, 2]", "list"), ("seed", "str"), ("12", "int"), ("null", "NoneType")])
def test_what_is_not_a_mapping_is_refused(tmp_path: Path, text: str, kind: str) -> None:
    path = _write(tmp_path, text)
    assert _refusal(path) == f"{path}: a recipe is a mapping of keys, not {kind}"


def test_an_empty_file_lacks_its_data(tmp_path: Path) -> None:
    assert "data (missing)" in _refusal(_write(tmp_path, ""))


def test_overrides_replace_and_add_values(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL + "seed: 1\ntrainer: {epochs: 3}\n")
    overrides = ["seed=5", "trainer.batch_size=2", "optimizer.learning_rate=1e-5", "data.root=/scans", "seed=6"]
    recipe = load_recipe(path, overrides)
    assert (recipe.seed, recipe.data.root) == (6, "/scans")  # the last one counts
    assert (recipe.trainer.epochs, recipe.trainer.batch_size) == (3, 2)
    assert recipe.optimizer.learning_rate == 1e-5


def test_override_values_are_yaml(tmp_path: Path) -> None:
    recipe = load_recipe(
        _write(tmp_path, MINIMAL),
        [
            "data.label_kind=classes",
            "data.labels={road: 1, roof: 2}",
            "split.test_groups=[p1, p2]",
            "model.revision=null",
            "description=a = b",
            "data.category=",
        ],
    )
    assert recipe.data.kind == "folder"
    assert recipe.data.labels == {"road": 1, "roof": 2}
    assert recipe.data.category == ""
    assert recipe.split.test_groups == ["p1", "p2"]
    assert recipe.model.revision is None
    assert recipe.description == "a = b"


@pytest.mark.parametrize("override", ["seed", "=5", "a b=5", ".seed=5", "seed.=5", "a..b=5", "--seed=5", "1=5", ""])
def test_an_override_of_another_form_is_refused(tmp_path: Path, override: str) -> None:
    message = _refusal(_write(tmp_path, MINIMAL), [override])
    assert message == f"override {override!r} is not of the form key.path=value, as in data.root=/scans"


def test_an_override_below_a_value_is_refused(tmp_path: Path) -> None:
    message = _refusal(_write(tmp_path, MINIMAL), ["data.root.folder=y"])
    assert message == "override 'data.root.folder=y': root is 'x', so it has no keys below it"


@pytest.mark.parametrize("override", ["seed=[1", "seed=*x", "seed=!!python/name:os.system", "seed=1\n---\n2"])
def test_an_override_that_is_not_plain_yaml_is_refused(tmp_path: Path, override: str) -> None:
    assert _refusal(_write(tmp_path, MINIMAL), [override]).startswith("override seed:")


def test_a_wrong_override_is_said_to_come_from_the_command_line(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL + "seed: -1\n")
    message = _refusal(path, ["trainer.batch_size=many", "trainer.wrkers=1"])
    assert f"{path}:2  seed = -1" in message
    assert "command line  trainer.batch_size = 'many'" in message
    assert "command line  trainer.wrkers = 1" in message


def test_a_rule_over_two_keys_broken_by_an_override_is_said_to_come_from_the_command_line(tmp_path: Path) -> None:
    """Such a rule is reported for the parent, here `split`, of which the file says nothing."""
    message = _refusal(_write(tmp_path, MINIMAL), ["split.validation=0.9"])
    assert "command line  split" in message


def test_an_override_can_mend_the_file(tmp_path: Path) -> None:
    assert load_recipe(_write(tmp_path, "seed: -1\n" + MINIMAL), ["seed=1"]).seed == 1


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_comes_back_from_its_yaml(tmp_path: Path, name: str) -> None:
    recipe = load_recipe(find_recipe(name), ["seed=7", "split.test_groups=[p1]", "output=runs/ö"])
    assert load_recipe(_write(tmp_path, as_yaml(recipe))) == recipe


TEXTS = st.one_of(
    st.sampled_from(
        ["08", "1e5", "12345e6", "1.", "no", "true", "null", "~", "", " a ", "0x1", "1_0", "2026-01-31", "-"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12),
)


@given(group=TEXTS, revision=TEXTS, rate=st.floats(1e-30, 1e30), category=TEXTS)
def test_any_text_or_number_comes_back_from_yaml(group: str, revision: str, rate: float, category: str) -> None:
    """A patient `08` or a commit `12345e6` looks like a number; it must be quoted, or the run cannot be read again."""
    recipe = Recipe.model_validate(
        {
            "data": {"kind": "folder", "root": "x", "category": category},
            "model": {"revision": revision},
            "split": {"test_groups": [group]},
            "optimizer": {"learning_rate": rate},
        }
    )
    assert Recipe.model_validate(parse_yaml(as_yaml(recipe), name="here").tree) == recipe


def test_a_preset_fills_what_the_recipe_does_not_say(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL + "preset: sam2\nprompts: {corrections: 3}\nloss: {focal_weight: 10.0}\n")
    recipe = load_recipe(path)
    assert (recipe.prompts.corrections, recipe.prompts.idle_rounds, recipe.prompts.truth_click_chance) == (3, 0, 0.1)
    assert (recipe.loss.at, recipe.loss.iou_learns_from, recipe.loss.focal_weight) == ("image", "all", 10.0)
    assert load_recipe(path, ["loss.at=mask"]).loss.at == "mask"
    assert load_recipe(_write(tmp_path, as_yaml(recipe))) == recipe  # written out whole, it stays what it is


def test_the_default_session_is_the_papers(tmp_path: Path) -> None:
    prompts = load_recipe(_write(tmp_path, MINIMAL)).prompts
    assert 1 + prompts.corrections + prompts.idle_rounds == 11
    assert load_recipe(_write(tmp_path, MINIMAL + "preset: sam\n")).prompts == prompts


def test_idle_rounds_need_a_mask_to_refine(tmp_path: Path) -> None:
    message = _refusal(_write(tmp_path, MINIMAL + "prompts: {mask_prompts: false}\n"))
    assert "idle_rounds without mask_prompts would repeat a round; set idle_rounds to 0" in message
