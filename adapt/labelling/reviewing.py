"""What people have made of the masks comes back."""

import json
from collections import Counter
from pathlib import Path

from adapt.engine import Outcome, check_review
from adapt.errors import RunError
from adapt.files import write_text
from adapt.labelling.keeping import may_overlap
from adapt.labelling.project import Project
from adapt.labelling.review_files import read_review
from adapt.labelling.rounds import REVIEWS, open_round, write_labels
from adapt.labelling.stored import as_plain
from adapt.labelling.unlabelled import known_labels
from adapt.runs import claimed
from adapt.wording import counted


def import_review(project: Project, path: Path) -> None:
    """Take the masks of a review as labels; nothing is taken if anything of it is wrong.

    Args:
        project: see `Project`.
        path: COCO JSON, or an export of Label Studio or CVAT.

    Raises:
        RunError: nothing was handed out.
        DataError: it cannot be read, or is not a review of what was handed out; see `check_review`.
    """
    with claimed(project.root):
        entry = open_round(project)
        handed_out = set() if entry is None else set(entry.handed_out())
        if entry is None or not handed_out:
            raise RunError(f"{project.root}: no picture is handed out for review; begin with adapt label suggest")
        data = project.recipe().data
        checked = check_review(
            [image for name, image in entry.sent().items() if name in handed_out],
            read_review(path),
            labels={*known_labels(data), str(entry.facts["label"])},
            overlaps=may_overlap(data),
            source=path,
        )
        content = {
            "file": str(path.resolve()),
            "images": [{**as_plain(one.image, one.outcomes), "removed": list(one.removed)} for one in checked],
        }
        number = len(entry.reviews()) + 1
        write_text(entry.folder / REVIEWS / f"{number:04d}.json", json.dumps(content) + "\n")
        write_labels(project)
        left = len(handed_out - set(entry.reviewed()))
    made = Counter(outcome for one in checked for outcome in one.outcomes)
    removed = sum(len(one.removed) for one in checked)
    print(
        f"{counted(len(checked), 'picture')} reviewed, {left:,} still out: {made[Outcome.KEPT]:,} masks kept, "
        f"{made[Outcome.CHANGED]:,} changed, {made[Outcome.ADDED]:,} added, {removed:,} removed"
    )
    print(f"train on them: python -m adapt fit --recipe {project.recipe_file}")
