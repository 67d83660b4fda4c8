"""What of a recipe may change when a run goes on, and which run is the one to go on with."""

from pathlib import Path

import pytest

from adapt.datamodules import Splits
from adapt.errors import RecipeError, RunError
from adapt.files import write_text
from adapt.jobs import run_folder
from adapt.recipe import as_yaml, find_recipe, load_recipe
from adapt.resuming import changed_keys, newest_unfinished, recipe_of_run


def a_run(output: Path, time: str, *overrides: str, finished: bool = False) -> Path:
    folder = output / "folder" / time
    folder.mkdir(parents=True)
    recipe = load_recipe(find_recipe("folder"), [f"output={output}", *overrides])
    (folder / "recipe.yaml").write_text(as_yaml(recipe), encoding="utf-8")
    (folder / "splits.json").touch()
    if finished:
        (folder / "report.html").touch()
    return folder


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("trainer.workers=7", []),
        ("evaluation.retention.images=3", []),
        ("tracking=wandb", []),
        ("trainer.on_bad_loss=skip", []),
        ("trainer.epochs=7", ["trainer.epochs"]),
        ("data.root=elsewhere", ["data.root"]),
        ("augment={}", ["augment.brightness_contrast", "augment.horizontal_flip"]),
        ("curriculum=[{name: a, change: {trainer.epochs: 1}}]", ["curriculum"]),
    ],
)
def test_only_what_decides_the_training_counts_as_changed(override: str, changed: list[str]) -> None:
    before, after = (load_recipe(find_recipe("folder"), more) for more in ([], [override]))
    assert set(changed) <= set(changed_keys(before, after))
    assert bool(changed) == bool(changed_keys(before, after))
    assert changed_keys(before, before) == []


def test_general_images_count_where_they_decide_when_training_ends() -> None:
    stopping = "trainer.stop_forgetting=0.1"
    before, after = (
        load_recipe(find_recipe("folder"), [stopping, *more]) for more in ([], ["evaluation.retention.images=3"])
    )
    assert changed_keys(before, after) == ["evaluation.retention.images"]


def test_a_run_goes_on_with_its_own_recipe_and_harmless_overrides(tmp_path: Path) -> None:
    folder = a_run(tmp_path, "2026-01-01_10-00-00", "seed=3")
    name, recipe = recipe_of_run(folder, ["trainer.workers=5"])
    assert (name, recipe.seed, recipe.trainer.workers) == ("folder", 3, 5)
    with pytest.raises(RecipeError, match=r"^seed, trainer\.epochs would change what .* trains"):
        recipe_of_run(folder, ["trainer.epochs=3", "seed=4"])


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has finished"):
        recipe_of_run(a_run(tmp_path, "2026-01-01_10-00-00", finished=True), [])


def test_the_newest_unfinished_run_of_the_same_recipe_is_found(tmp_path: Path) -> None:
    recipe = load_recipe(find_recipe("folder"), [f"output={tmp_path}", "evaluation.gallery=1"])
    assert newest_unfinished(recipe, name="folder") is None
    a_run(tmp_path, "2026-01-01_10-00-00")
    wanted = a_run(tmp_path, "2026-01-02_10-00-00")
    a_run(tmp_path, "2026-01-03_10-00-00", "seed=1")
    a_run(tmp_path, "2026-01-04_10-00-00", finished=True)
    broken = a_run(tmp_path, "2026-01-05_10-00-00")
    (broken / "recipe.yaml").write_text("unknown: 1\n", encoding="utf-8")
    assert newest_unfinished(recipe, name="folder") == wanted


def test_a_folder_that_only_holds_a_recipe_is_no_run(tmp_path: Path) -> None:
    """Such as that of a project; what is hidden in it would be none of our business."""
    folder = a_run(tmp_path, "2026-01-01_10-00-00")
    (folder / "splits.json").unlink()
    with pytest.raises(RunError, match=r"is not the folder of a run: it has no splits\.json"):
        recipe_of_run(folder, [])


class KilledError(BaseException):
    """Nothing that anybody catches."""


@pytest.mark.parametrize("files", [0, 1, 2])
def test_a_run_that_was_killed_while_it_began_is_none_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    recipe = load_recipe(find_recipe("folder"), [f"output={tmp_path}"])
    splits, left = Splits(train=("a",), validation=(), test=("b",)), [files]

    def killed(path: Path, text: str) -> None:
        if not left[0]:
            raise KilledError
        left[0] -= 1
        write_text(path, text)

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(run_folder, "write_text", killed)
        run_folder.begin_folder(tmp_path, "folder", recipe, splits)
    assert newest_unfinished(recipe, name="folder") is None
    whole = run_folder.begin_folder(tmp_path, "folder", recipe, splits)
    assert newest_unfinished(recipe, name="folder") == whole
    assert recipe_of_run(whole, [])[0] == "folder"
