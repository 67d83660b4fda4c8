"""The label folder: what a team labels, with which recipe, and the masks that train."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapt.datamodules.labelled import LABELS, PICTURES
from adapt.errors import RunError
from adapt.files import make_folder, write_text
from adapt.formats.coco_review import write_coco_review
from adapt.predict.inputs import find_inputs
from adapt.recipe import Recipe, as_yaml, load_recipe
from adapt.wording import counted

FACTS, ROUNDS = "label.json", "rounds"
VERSION = 1


@dataclass(frozen=True)
class Project:
    """A label folder.

    Attributes:
        root: absolute.
        recipe_file: the recipe of the hand-labelled data; fits with it train on the masks of this folder too.
        unlabelled: file or folder of the images that nobody has labelled.
    """

    root: Path
    recipe_file: Path
    unlabelled: Path

    def recipe(self, overrides: Sequence[str] = ()) -> Recipe:
        """The recipe, with overrides as key=value."""
        return load_recipe(self.recipe_file, list(overrides))

    @property
    def pictures(self) -> Path:
        """Folder of the pictures, as the model and people see them."""
        return self.root / PICTURES

    @property
    def rounds(self) -> Path:
        """Folder of the rounds."""
        return self.root / ROUNDS


def make_project(root: Path, *, name: str, recipe: Recipe, unlabelled: Path) -> Project:
    """Make a label folder that has no mask yet.

    Args:
        root: new, or empty.
        name: of the recipe.
        recipe: of the hand-labelled data.
        unlabelled: the other images, in a form that the recipe's data section reads.

    Raises:
        RunError: the folder is not empty, or cannot be written.
        DataError: there is no image to label.
    """
    root, unlabelled = root.resolve(), unlabelled.resolve()
    if (root / FACTS).is_file():
        raise RunError(f"{root} is a label folder already; go on with adapt label status {root}")
    if root.is_dir() and any(root.iterdir()):
        raise RunError(f"{root} holds other files; give a new or an empty folder")
    inputs = find_inputs(unlabelled, recipe.data)
    for folder in (root, root / PICTURES, root / ROUNDS):
        make_folder(folder)
    data = recipe.data
    if Path(data.root).expanduser().is_dir():  # so that the recipe can be used from any folder
        data = data.model_copy(update={"root": str(Path(data.root).expanduser().resolve())})
    label = recipe.label.model_copy(update={"root": str(root)})
    recipe_file = root / f"{name}.yaml"
    write_text(recipe_file, as_yaml(recipe.model_copy(update={"data": data, "label": label})))
    write_coco_review(root / LABELS, [])
    facts = {"version": VERSION, "recipe": recipe_file.name, "unlabelled": str(unlabelled)}
    write_text(root / FACTS, json.dumps(facts, indent=1) + "\n")  # last: it says that the folder is whole
    print(f"{root}: {counted(len(inputs), 'unlabelled image')}; fit with --recipe {recipe_file}")
    return Project(root, recipe_file, unlabelled)


def open_project(root: Path) -> Project:
    """A label folder that was made before.

    Raises:
        RunError: it is none, or its facts cannot be read.
    """
    path = root / FACTS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["version"] != VERSION:
            raise ValueError(f"version {facts['version']}, this reads {VERSION}")
        return Project(root.resolve(), root.resolve() / facts["recipe"], Path(facts["unlabelled"]))
    except FileNotFoundError:
        raise RunError(f"{root} is no label folder (it has no {FACTS}); make one with adapt label init") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read ({error}); put it back from a copy") from None
