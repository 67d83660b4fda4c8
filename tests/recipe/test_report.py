"""What a wrong recipe is answered with: every problem at once, each with place, key, value and remedy."""

from pathlib import Path

import pytest

from adapt.errors import RecipeError
from adapt.recipe import load_recipe

FOLDER = "data: {kind: folder, root: x}\n"


def _problems(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    return str(caught.value).replace(str(path), "mine.yaml")


def test_every_problem_is_told_at_once_with_line_and_key(tmp_path: Path) -> None:
    text = """\
seed: -1
model:
  checkpoint: 5
tuning:
  mode: lorra
data:
  kind: medical
  labels: {liver: 0}
  intensity: {kind: hu_window}
optimizer:
  lerning_rate: 1e-3
loss:
  focal_gamma: .nan
evaluation:
  protocols:
  - box
  - one_clik
"""
    assert _problems(tmp_path, text) == (
        "recipe mine.yaml has 8 problems:\n"
        "  mine.yaml:1  seed = -1\n"
        "      input should be greater than or equal to 0\n"
        "  mine.yaml:3  model.checkpoint = 5\n"
        "      input should be a valid string, not a whole number\n"
        "  mine.yaml:4  tuning = {'mode': 'lorra'}\n"
        "      mode must be one of: decoder, norm, lora, ia3, loha, oft, vera, adapter, scale_shift, text_token, "
        "full; did you mean lora?\n"
        "  mine.yaml:6  data.root (missing)\n"
        "      required: Folder that holds the images and labels; adapt:ct_phantom generates.\n"
        "  mine.yaml:8  data.labels.liver = 0\n"
        "      input should be greater than or equal to 1\n"
        "  mine.yaml:13  loss.focal_gamma = nan\n"
        "      input should be a finite number\n"
        "  mine.yaml:11  optimizer.lerning_rate = 0.001\n"
        "      unknown key; did you mean learning_rate?; allowed: learning_rate, rates, layer_decay, weight_decay, "
        "decayed, warmup_steps, schedule, milestones, milestone_factor, ema\n"
        "  mine.yaml:17  evaluation.protocols.1 = 'one_clik'\n"
        "      allowed: one_click, box, jittered_box, clicks; did you mean one_click?"
    )


def test_one_problem_is_counted_as_one(tmp_path: Path) -> None:
    assert _problems(tmp_path, FOLDER + "seed: a\n").startswith("recipe mine.yaml has 1 problem:\n")


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("sed: 1\n", "mine.yaml:2  sed = 1", "did you mean seed?"),
        ("quux: 1\n", "mine.yaml:2  quux = 1", "unknown key; allowed: description, preset, seed, output"),
        ("seed: '1'\n", "mine.yaml:2  seed = '1'", "valid integer, not text"),
        ("seed: 1.5\n", "mine.yaml:2  seed = 1.5", "integer"),
        ("seed: true\n", "mine.yaml:2  seed = True", "valid integer, not true or false"),
        ("seed:\n", "mine.yaml:2  seed = None", "valid integer, not nothing (null)"),
        ("model: 5\n", "mine.yaml:2  model = 5", "not a whole number"),
        ("model: {checkpoint: no, revision: 5}\n", "mine.yaml:2  model.revision = 5", "valid string"),
        ("wandb: {offline: no}\n", "mine.yaml:2  wandb.offline = 'no'", "valid boolean, not text"),
        ("optimizer: {learning_rate: .inf}\n", "mine.yaml:2  optimizer.learning_rate = inf", "finite number"),
        ("optimizer: {learning_rate: 0}\n", "mine.yaml:2  optimizer.learning_rate = 0", "greater than 0"),
        ("tracking: wandbb\n", "mine.yaml:2  tracking = 'wandbb'", "did you mean wandb?"),
        ("split: {test: 0.5, validation: 0.5}\n", "mine.yaml:2  split", "must stay below 1"),
        ("split: {test_groups: [a], validation_groups: [a]}\n", "mine.yaml:2  split", "both validation and test: a"),
        ("evaluation: {protocols: [box, box]}\n", "mine.yaml:2  evaluation.protocols", "named twice"),
        ("evaluation: {protocols: []}\n", "mine.yaml:2  evaluation.protocols = []", "at least 1 item"),
    ],
)
def test_a_problem_has_its_place_value_and_remedy(tmp_path: Path, text: str, place: str, remedy: str) -> None:
    message = _problems(tmp_path, FOLDER + text)
    assert place in message
    assert remedy in message


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("seed: 1\n", "mine.yaml:1  data (missing)", "required"),
        ("data: {}\n", "mine.yaml:1  data = {}", "kind must be one of: medical"),
        ("data: {kind: medcal}\n", "mine.yaml:1  data = ", "did you mean medical?"),
        ("data: 5\n", "mine.yaml:1  data = 5", "not a whole number"),
        ("data: {kind: folder}\n", "mine.yaml:1  data.root (missing)", "Folder that holds the images and label maps"),
        (
            "data: {kind: folder, root: x, labls: {a: 1}}\n",
            "mine.yaml:1  data.labls = {'a': 1}",
            "did you mean labels?; allowed: kind, root, image_folder",
        ),
        ("data: {kind: folder, root: x, label_kind: classes}\n", "mine.yaml:1  data", "needs labels: {name: value}"),
        (
            "data: {kind: folder, root: x, group_pattern: '('}\n",
            "mine.yaml:1  data.group_pattern = '('",
            "not a regular expression",
        ),
        (
            "data: {kind: folder, root: x, group_pattern: 'p.*'}\n",
            "mine.yaml:1  data.group_pattern = 'p.*'",
            "needs exactly one (group), has 0",
        ),
        (
            "data:\n  kind: medical\n  root: x\n  labels: {a: 1}\n  intensity:\n    kind: hu_windw\n",
            "mine.yaml:5  data.intensity = ",
            "kind must be one of: hu_window, percentile; did you mean hu_window?",
        ),
        (
            "data:\n  kind: medical\n  root: x\n  labels: {a: 1}\n  intensity:\n    kind: percentile\n    lo: 1\n",
            "mine.yaml:7  data.intensity.lo = 1",
            "did you mean low?; allowed: kind, low, high",
        ),
        (
            "data:\n  kind: medical\n  root: x\n  labels: {a: 1}\n  intensity:\n    kind: hu_window\n"
            "    windows:\n    - lung\n    - sof_tissue\n    - bone\n",
            "mine.yaml:9  data.intensity.windows.1 = 'sof_tissue'",
            "allowed: soft_tissue, lung, bone; did you mean soft_tissue?",
        ),
        (
            "data: {kind: medical, root: x, labels: {a: 1, b: 1}, intensity: {kind: percentile}}\n",
            "mine.yaml:1  data.labels",
            "two names share a value",
        ),
    ],
)
def test_problems_of_the_data(tmp_path: Path, text: str, place: str, remedy: str) -> None:
    message = _problems(tmp_path, text)
    assert place in message
    assert remedy in message


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    message = _problems(tmp_path, FOLDER + f"seed: {'a' * 500}\n")
    assert "seed = 'aaaa" in message
    assert "..." in message
    assert max(map(len, message.splitlines())) < 200


def test_the_library_behind_the_schema_is_not_named(tmp_path: Path) -> None:
    message = _problems(tmp_path, FOLDER + "seed: a\nmodel: [1]\nsplit: {test: 2}\n")
    assert "pydantic" not in message.lower()
    assert "http" not in message
