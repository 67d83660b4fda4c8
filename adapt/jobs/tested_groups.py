"""Which groups a model is scored on: never one that it was trained on."""

from pathlib import Path

from adapt.datamodules import Splits, Store, split_groups, test_only
from adapt.errors import DataError, RunError
from adapt.jobs.run_folder import read_splits
from adapt.recipe import Recipe, group_rule, load_recipe
from adapt.runs import RECIPE


def tested_groups(recipe: Recipe, store: Store, run_folder: Path | None) -> Splits:
    """The split whose test groups are scored; never one that a run has trained on."""
    if run_folder is None:
        return split_groups(store.groups, recipe.split, seed=recipe.seed)
    return unseen_groups(recipe, store, run_folder)


def unseen_groups(recipe: Recipe, store: Store, run_folder: Path) -> Splits:
    """The test groups to evaluate a run on; never one that it has trained or validated on.

    On the run's own data and split these are its own test groups. On other data, or with another split, they
    are `split.test_groups`, or all groups of the data if none is named.
    """
    trained = load_recipe(run_folder / RECIPE)
    saved = read_splits(run_folder)
    rule, trained_rule = group_rule(recipe.data), group_rule(trained.data)
    if recipe.data.root == trained.data.root and rule != trained_rule:
        key = next(key for key in {**rule, **trained_rule} if rule.get(key) != trained_rule.get(key))
        raise RunError(
            f"{key} {rule.get(key)!r} is not that of the run, {trained_rule.get(key)!r}, "
            "so groups that were trained on could not be told; leave it as it was"
        )
    if (recipe.data.root, recipe.split) == (trained.data.root, trained.split):
        splits = test_only(store.groups, list(saved.test))
    else:
        splits = test_only(store.groups, list(recipe.split.test_groups))
    seen = sorted(set(splits.test) & {*saved.train, *saved.validation})
    if seen:
        raise DataError(
            f"test groups {', '.join(seen[:10])} have names of groups that this run was trained or validated on; "
            "name others in split.test_groups, or rename them if they are other patients"
        )
    return splits
