"""`adapt evaluate --propagate`: objects of test volumes and time series, prompted once and followed."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import track

from adapt.build import make_segmenter, make_store, pick_device
from adapt.datamodules.generated import PREFIX, generated_folder
from adapt.datamodules.pairing import case_group
from adapt.datamodules.volume_files import find_volumes, patient_of
from adapt.datamodules.volume_reading import read_volumes
from adapt.errors import RecipeError
from adapt.files import write_text
from adapt.jobs.tested_groups import tested_groups
from adapt.jobs.tuned import check_prompted, check_trained, load_tuned
from adapt.predict import Model
from adapt.predict.opened import Opened, Scan
from adapt.predict.opening import open_volume
from adapt.predict.volume_dice import Target, VolumeDice, volume_dice, volume_targets
from adapt.predict.volume_table import print_dice, write_dice
from adapt.recipe import DataSettings, MedicalData, MicroscopyData, Recipe, as_yaml
from adapt.runs import RECIPE, SPLITS, VERSIONS, check_writable, new_run_folder, versions


@dataclass(frozen=True)
class Followable:
    """A volume or time series of the data.

    Attributes:
        group: of the split.
        open: its images, and the objects that are followed through them.
    """

    group: str
    open: Callable[[], AbstractContextManager[tuple[Opened, list[Target]]]]


def evaluate_propagation(recipe: Recipe, *, name: str, run_folder: Path | None) -> None:
    """Score objects of the test volumes or series that are prompted once and followed; the table goes to stdout.

    Args:
        recipe: of the run, or any; its data are volumes, stacks of planes, or time series.
        name: of the recipe.
        run_folder: of the run, whose model is compared with the untouched one; None for the untouched one alone.

    Raises:
        RecipeError: the data have no order.
        DataError: a test volume or series cannot be read, or is not looked at whole.
    """
    check_ordered(recipe.data)
    check_prompted(recipe, "--propagate")
    output = Path(recipe.output).expanduser() if run_folder is None else run_folder
    check_writable(output)
    console = Console(stderr=True)
    segmenters = {"base": make_segmenter(recipe)}
    if run_folder is not None:
        check_trained(run_folder)
        segmenters["tuned"] = load_tuned(recipe, run_folder)
    store = make_store(recipe, console)
    splits = tested_groups(recipe, store, run_folder)
    device = pick_device(recipe)
    models = {}
    for title, segmenter in segmenters.items():
        segmenter.to(device).eval()
        models[title] = Model(segmenter, device, recipe.generate, recipe.predict)
    known = followable(recipe.data, cache=Path(recipe.cache).expanduser())
    tested = [case for case, one in known.items() if one.group in set(splits.test)]
    scores: list[VolumeDice] = []
    named = "slice"
    for case in track(tested, "following objects", console=console, transient=True, disable=not console.is_terminal):
        with known[case].open() as (opened, targets):
            named = opened.slice_name
            scores += volume_dice(case, opened, targets, models)
    folder = new_run_folder(output, f"{name}/untouched" if run_folder is None else "evaluations")
    write_text(folder / RECIPE, as_yaml(recipe))
    write_text(folder / VERSIONS, json.dumps(versions(), indent=2) + "\n")
    write_text(folder / SPLITS, json.dumps(asdict(splits), indent=2) + "\n")
    write_dice(folder / "propagation.csv", scores)
    print_dice(scores, Console(), named=named)
    console.print(f"written to {folder / 'propagation.csv'}", highlight=False, soft_wrap=True)


def check_ordered(data: DataSettings) -> None:
    """Check that objects can be followed through data.

    Raises:
        RecipeError: they are single images, or stacks whose planes are in several groups.
    """
    if isinstance(data, MedicalData):
        return
    if not isinstance(data, MicroscopyData):
        raise RecipeError(
            f"--propagate follows objects through volumes and time series, but data.kind is {data.kind}; leave it out"
        )
    if "all" not in (data.time, data.z):
        raise RecipeError(
            "--propagate follows objects through volumes and time series, but data.time and data.z choose one image of "
            "each; set data.time=all or data.z=all, or leave it out"
        )
    if data.split_by == "block":
        raise RecipeError(
            "--propagate follows objects through whole stacks, but data.split_by=block trains on a part of each; split "
            "by file, or leave it out"
        )


def followable(data: DataSettings, *, cache: Path) -> dict[str, Followable]:
    """The volumes or series of data that have an order, by name.

    Raises:
        DataError: images and labels do not belong together.
    """
    assert isinstance(data, MedicalData | MicroscopyData)  # see `check_ordered`
    generated = data.root.startswith(PREFIX)
    root = generated_folder(data.root, kind=data.kind, cache=cache) if generated else Path(data.root).expanduser()
    if isinstance(data, MedicalData):
        pairs, _, _ = find_volumes(data, root)
        group_of = patient_of
        opening: Callable[..., AbstractContextManager[tuple[Opened, list[Target]]]] = partial(_open_volume, data=data)
    else:
        from adapt.datamodules.microscopy_files import find_pairs  # needs an extra
        from adapt.predict.series import open_series

        pairs, _ = find_pairs(data, root)
        group_of = case_group
        opening = partial(open_series, data=data)
    return {
        case: Followable(group_of(case, data.group_pattern), partial(opening, case, *paths))
        for case, paths in pairs.items()
    }


@contextmanager
def _open_volume(
    case: str, image_path: Path, label_path: Path, *, data: MedicalData
) -> Iterator[tuple[Opened, list[Target]]]:
    image, labels = read_volumes(case, image_path, label_path, settings=data)
    opened = open_volume(image, data)
    assert isinstance(opened.like, Scan)
    yield opened, volume_targets(labels, opened.like, data)
