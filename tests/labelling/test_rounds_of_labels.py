"""The loop of the data engine, with a segmenter whose answers are known: what is kept, handed out and taken back."""

import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from grey_segmenter import GreySegmenter
from PIL import Image
from rich.console import Console

from adapt import build
from adapt.cli import main
from adapt.datacheck import quick_findings
from adapt.engine import Provenance, Stage
from adapt.errors import DataError, RunError
from adapt.formats import read_coco
from adapt.formats.coco_review import read_coco_review, write_coco_review
from adapt.formats.review import ReviewImage, ReviewObject
from adapt.formats.rle import decode_masks, encode_masks
from adapt.jobs.predict import Loaded
from adapt.labelling.closing import accept, refuse
from adapt.labelling.project import Project, make_project, open_project
from adapt.labelling.review_files import ReviewFormat
from adapt.labelling.reviewing import import_review
from adapt.labelling.rounds import rounds_of
from adapt.labelling.status import show_status
from adapt.labelling.suggesting import Wish, suggest
from adapt.recipe import as_yaml, load_recipe

SIDE = 64
WISH = Wish("assisted", None, None, "coco", "")


def squares(values: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Up to nine squares of 12 pixels, each of its own grey value."""
    picture = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for place, value in enumerate(values):
        top, left = 4 + 20 * (place // 3), 4 + 20 * (place % 3)
        picture[top : top + 12, left : left + 12] = value
    return picture


NEW = {"bright": (160, 180, 200), "dim": (60, 80), "mixed": (90, 170, 210), "nothing": ()}


def make(tmp_path: Path, *overrides: str, new: dict[str, Sequence[int]] | None = None) -> Project:
    for folder in ("hand/images", "hand/masks", "new"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(6):
        drawn = squares((50 + 20 * number, 220))
        Image.fromarray(np.stack((drawn,) * 3, axis=2)).save(tmp_path / "hand" / "images" / f"hand{number}.png")
        Image.fromarray(drawn).save(tmp_path / "hand" / "masks" / f"hand{number}.png")
    for name, values in (NEW if new is None else new).items():
        Image.fromarray(np.stack((squares(values),) * 3, axis=2)).save(tmp_path / "new" / f"{name}.png")
    recipe = tmp_path / "discs.yaml"
    recipe.write_text(
        f"data: {{kind: folder, root: {tmp_path / 'hand'}, label_folder: masks, category: square}}\n"
        f"cache: {tmp_path / 'cache'}\ngenerate: {{points_per_side: 16, crop_edge: 0.0}}\n",
        encoding="utf-8",
    )
    loaded = load_recipe(recipe, list(overrides))
    return make_project(tmp_path / "labels", name="discs", recipe=loaded, unlabelled=tmp_path / "new")


def loaded_for(project: Project, *overrides: str, fails_at: int = 0, run: str = "") -> Loaded:
    about: dict[str, Any] = {"checkpoint": "grey", "revision": None, "weights": "w"} | ({"run": run} if run else {})
    segmenter: Any = GreySegmenter(fails_at=fails_at)
    return Loaded(segmenter, torch.device("cpu"), project.recipe(overrides), project.unlabelled, about)


def draw(
    project: Project,
    *overrides: str,
    fails_at: int = 0,
    run: str = "",
    stage: Stage = "assisted",
    form: ReviewFormat = "coco",
    prompts: Path | None = None,
) -> str:
    told = io.StringIO()
    loaded = loaded_for(project, *overrides, fails_at=fails_at, run=run)
    wish = replace(WISH, stage=stage, form=form, prompts=prompts)
    suggest(project, loaded, wish, console=Console(file=told, width=300))
    return told.getvalue()


def handed_out(project: Project, number: int = 1) -> list[ReviewImage]:
    return read_coco_review(project.rounds / f"{number:03d}" / "review.json", max_pixels=10_000)


def values_of(image: ReviewImage) -> list[int]:
    """Grey values of the squares that the masks of a picture are."""
    masks = decode_masks([one.mask for one in image.objects], height=SIDE, width=SIDE)
    return sorted(int(np.unique(squares(NEW[Path(image.file_name).stem])[mask]).item()) for mask in masks)


def come_back(project: Project, images: Sequence[ReviewImage], path: Path | None = None) -> None:
    path = path or project.root.parent / "back.json"
    write_coco_review(path, images)
    import_review(project, path)


def training(project: Project) -> dict[str, list[dict[str, str]]]:
    """Attributes of the masks that train, by picture."""
    images = read_coco(project.root / "labels.json")
    return {image.file_name: [dict(one.attributes) for one in image.objects] for image in images}


def test_the_assisted_stage_hands_out_all_that_was_found_the_least_sure_picture_first(tmp_path: Path) -> None:
    project = make(tmp_path)
    draw(project)
    images = handed_out(project)
    assert [image.file_name for image in images] == ["nothing.png", "dim.png", "mixed.png", "bright.png"]
    assert [values_of(image) for image in images] == [[], [60, 80], [90, 170, 210], [160, 180, 200]]
    made_by = Provenance.from_attributes(images[1].objects[0].attributes, source="")
    assert made_by == Provenance("assisted", "grey", "w", pytest.approx(0.9), 1.0)
    assert images[1].objects[0].label == "square"
    assert training(project) == {}, "nothing trains that nobody has looked at"


def test_only_as_many_are_handed_out_as_are_asked_for_and_more_can_follow(tmp_path: Path) -> None:
    project = make(tmp_path)
    draw(project, "label.images=1")
    assert rounds_of(project)[0].handed_out() == ["nothing.png"]
    draw(project, "label.images=2", form="cvat")
    assert rounds_of(project)[0].handed_out() == ["nothing.png", "dim.png"]
    assert (project.rounds / "001" / "review.xml").is_file()


def test_what_people_keep_change_add_and_remove_trains_with_its_provenance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = make(tmp_path)
    draw(project)
    nothing, dim, mixed, _ = handed_out(project)
    larger = np.zeros((1, SIDE, SIDE), dtype=bool)
    larger[:, 4:18, 4:18] = True
    changed = replace(mixed.objects[0], mask=encode_masks(larger)[0])
    added = ReviewObject("", "square", encode_masks(np.roll(larger, 40, axis=1))[0])
    back = [nothing, dim, replace(mixed, objects=(changed, mixed.objects[1], added))]
    come_back(project, back)
    assert "3 pictures reviewed, 1 still out: 3 masks kept, 1 changed, 1 added, 1 removed" in capsys.readouterr().out
    found = training(project)
    assert sorted(found) == ["dim.png", "mixed.png", "nothing.png"]
    assert [(one["stage"], one.get("changed")) for one in found["mixed.png"]] == [
        ("assisted", "yes"),
        ("assisted", None),
        ("manual", None),
    ]
    assert found["dim.png"][0]["group"] == "dim"


def test_the_file_of_each_program_comes_back(tmp_path: Path) -> None:
    for form, name in (("cvat", "review.xml"), ("label_studio", "review_tasks.json")):
        project = make(tmp_path / form)
        draw(project, form=form)  # type: ignore[arg-type]
        path = project.rounds / "001" / name
        if form == "label_studio":  # what people submit lies beside what was predicted
            tasks = json.loads(path.read_text(encoding="utf-8"))
            done = [{**task, "annotations": [{"result": task["predictions"][0]["result"]}]} for task in tasks]
            path.write_text(json.dumps(done), encoding="utf-8")
        import_review(project, path)
        found = {picture: [one["stage"] for one in masks] for picture, masks in training(project).items()}
        assert {picture: len(stages) for picture, stages in found.items()} == {
            "bright.png": 3,
            "dim.png": 2,
            "mixed.png": 3,
            "nothing.png": 0,
        }
        assert {stage for stages in found.values() for stage in stages} == {"assisted"}


def test_the_masks_train_in_the_next_fit(tmp_path: Path) -> None:
    project = make(tmp_path, "label.weights.assisted=0.75")
    draw(project)
    come_back(project, handed_out(project))
    recipe = project.recipe()
    quiet = Console(file=io.StringIO())
    store = build.make_store(recipe, quiet)
    splits = build.make_splits(recipe, store, quiet)
    assert {"labelled/bright", "labelled/dim", "labelled/mixed"} <= set(splits.train)
    sample = store.sample(store.groups.index("labelled/dim"))
    assert sample.weights == (0.75, 0.75)
    assert np.array_equal(sample.image[..., 0], squares(NEW["dim"]))
    told = [finding.text for finding in quick_findings(recipe, store, splits)]
    assert not [text for text in told if "share the stem" in text], "the folder in front of their names is ours"


def test_the_semi_automatic_stage_keeps_what_is_sure_and_leaves_the_rest_to_people(tmp_path: Path) -> None:
    project = make(tmp_path)
    draw(project, "label.images=1", stage="semi-automatic")
    kept = {name: [one["stage"] for one in masks] for name, masks in training(project).items()}
    assert kept == {
        "bright.png": ["semi-automatic"] * 3,
        "dim.png": [],
        "mixed.png": ["semi-automatic"] * 2,
        "nothing.png": [],
    }
    assert [values_of(image) for image in rounds_of(project)[0].sent().values()] == [
        [],
        [],
        [170, 210],
        [160, 180, 200],
    ]
    assert [image.file_name for image in handed_out(project)] == ["nothing.png"]


def test_the_automatic_stage_hands_nothing_out(tmp_path: Path) -> None:
    project = make(tmp_path)
    draw(project, stage="automatic")
    assert sum(len(masks) for masks in training(project).values()) == 5
    assert not list((project.rounds / "001").glob("review.*"))
    with pytest.raises(RunError, match="no picture is handed out for review"):
        import_review(project, tmp_path / "any.json")


def test_what_people_went_through_is_not_drawn_on_again(tmp_path: Path) -> None:
    project = make(tmp_path)
    draw(project)
    come_back(project, [image for image in handed_out(project) if image.file_name != "bright.png"])
    close(project)
    draw(project, stage="automatic")
    assert list(rounds_of(project)[1].sent()) == ["bright.png"]
    stages = {name: {one["stage"] for one in masks} for name, masks in training(project).items()}
    assert stages == {
        "bright.png": {"automatic"},
        "dim.png": {"assisted"},
        "mixed.png": {"assisted"},
        "nothing.png": set(),
    }


def close(project: Project, *, accepted: bool = True) -> None:
    """A verdict, as the gate writes it."""
    content = {"accepted": accepted, "run": "run", "told": "accepted: +0.010 on the held-out images"}
    (rounds_of(project)[-1].folder / "closed.json").write_text(json.dumps(content), encoding="utf-8")


def test_a_refused_round_trains_no_more_and_its_pictures_are_drawn_on_again(tmp_path: Path) -> None:
    project = make(tmp_path)
    draw(project)
    come_back(project, handed_out(project))
    refuse(project)
    assert training(project) == {}
    draw(project)
    assert len(handed_out(project, 2)) == 4


def test_a_killed_round_goes_on_and_draws_no_finished_picture_again(tmp_path: Path) -> None:
    project = make(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        draw(project, fails_at=6)  # each picture is encoded twice, since it is mirrored: within the third
    begun = {path: path.stat().st_mtime_ns for path in (project.rounds / "001" / "drawn").iterdir()}
    assert len(begun) == 2 and not rounds_of(project)[0].complete
    loaded = loaded_for(project)
    suggest(project, loaded, WISH, console=Console(file=io.StringIO()))
    assert loaded.segmenter.encoded == 4  # type: ignore[attr-defined]
    assert {path: path.stat().st_mtime_ns for path in begun} == begun
    straight = make(tmp_path / "straight")
    draw(straight)
    assert handed_out(project) == handed_out(straight)


def test_an_open_round_is_not_mixed_with_another(tmp_path: Path) -> None:
    project = make(tmp_path)
    draw(project)
    with pytest.raises(RunError, match=r"round 1 has no verdict yet, and was asked for another stage; go on"):
        draw(project, stage="automatic")
    with pytest.raises(RunError, match="another generate"):
        draw(project, "generate.points_per_side=8")
    with pytest.raises(RunError, match="another model"):
        draw(project, run="runs/a")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            ["generate.predicted_iou=0.99"],
            "no mask is kept: the best predicted IoU is 0.97, lower generate.predicted_iou",
        ),
        (["label.predicted_iou=0.99"], "no mask is kept: the best predicted IoU is 0.97, lower label.predicted_iou"),
    ],
)
def test_a_threshold_that_keeps_nothing_is_named(tmp_path: Path, overrides: list[str], told: str) -> None:
    project = make(tmp_path)
    assert told in draw(project, *overrides, stage="automatic")
    assert all(not masks for masks in training(project).values())


def test_a_picture_without_an_object_is_told_and_handed_out_empty(tmp_path: Path) -> None:
    project = make(tmp_path, new={"nothing": ()})
    assert "nothing was found in 1 picture" in draw(project) or "no mask is kept" in draw(project)
    assert handed_out(project) == [ReviewImage("nothing.png", SIDE, SIDE, ())]


def test_prompts_are_drawn_instead_of_everything(tmp_path: Path) -> None:
    project = make(tmp_path)
    prompts = tmp_path / "prompts.json"
    asked = [{"image": "mixed.png", "clicks": [[10, 10]]}, {"image": "mixed.png", "box": [44, 4, 55, 15]}]
    prompts.write_text(json.dumps(asked), encoding="utf-8")
    draw(project, prompts=prompts)
    [image] = handed_out(project)
    assert (image.file_name, values_of(image)) == ("mixed.png", [90, 210])
    with pytest.raises(DataError, match="no such file"):
        draw(project, prompts=tmp_path / "none.json")


def refused_review(project: Project, path: Path) -> str:
    before = (project.root / "labels.json").read_bytes()
    with pytest.raises(DataError) as caught:
        import_review(project, path)
    assert (project.root / "labels.json").read_bytes() == before
    assert not rounds_of(project)[0].reviews()
    return str(caught.value)


def test_a_wrong_review_changes_nothing_and_is_named(tmp_path: Path) -> None:
    project = make(tmp_path)
    draw(project, "label.images=2")
    _, dim = handed_out(project)
    path = tmp_path / "wrong.json"

    def refused(*images: ReviewImage) -> str:
        write_coco_review(path, images)
        return refused_review(project, path)

    assert "images that were not exported for it: other.png" in refused(replace(dim, file_name="other.png"))
    assert "not exported for it: mixed.png" in refused(replace(dim, file_name="mixed.png")), "it was not handed out"
    one, other = dim.objects
    assert "several masks have one id: 1" in refused(replace(dim, objects=(one, replace(other, identity="1"))))
    assert "1 pair of masks cover one another: 1 and 2" in refused(
        replace(dim, objects=(one, replace(other, mask=one.mask)))
    )
    assert "labels 'circle' are not known; use square" in refused(replace(dim, objects=(replace(one, label="circle"),)))
    path.write_bytes(b"PK\x03\x04")
    assert "unpack it if it is a .zip" in refused_review(project, path)
    assert "no such file" in refused_review(project, tmp_path / "none.json")


def test_thousands_of_objects_come_back(tmp_path: Path) -> None:
    project = make(tmp_path, new={"bright": (160,)})
    draw(project)
    [image] = handed_out(project)
    pixels = np.zeros((2_000, SIDE, SIDE), dtype=bool)
    places = np.argwhere(squares((160,)) == 0)[:2_000]
    pixels[np.arange(2_000), places[:, 0], places[:, 1]] = True
    added = tuple(ReviewObject("", "square", mask) for mask in encode_masks(pixels))
    come_back(project, [replace(image, objects=(*image.objects, *added))])
    assert len(training(project)["bright.png"]) == 2_001


def test_hand_labelled_and_held_out_images_are_left_out(tmp_path: Path) -> None:
    project = make(tmp_path)
    quiet = Console(file=io.StringIO())
    splits = build.make_splits(project.recipe(), build.make_store(project.recipe(), quiet), quiet)
    squares_of_new = (tmp_path / "new" / "dim.png").read_bytes()
    (tmp_path / "new" / f"{splits.test[0]}.png").write_bytes(squares_of_new)
    told = draw(project)
    assert "left out: 1 image of held-out groups" in told
    assert f"{splits.test[0]}.png" not in rounds_of(project)[0].sent()


def write_run(folder: Path, project: Project, scores: dict[str, float], *, base: float = 0.5) -> Path:
    folder.mkdir(parents=True)
    recipe = project.recipe()
    (folder / "recipe.yaml").write_text(as_yaml(recipe), encoding="utf-8")
    quiet = Console(file=io.StringIO())
    splits = build.make_splits(recipe, build.make_store(recipe, quiet), quiet)
    content = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    (folder / "splits.json").write_text(json.dumps(content), encoding="utf-8")
    figures = {"base": {"groups": dict.fromkeys(scores, base)}, "tuned": {"groups": scores}}
    results = {"protocols": {"one_click": figures, "box": figures}}
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return folder


def test_the_gate_accepts_what_gets_no_worse_and_refuses_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = make(tmp_path)
    draw(project)
    come_back(project, [image for image in handed_out(project) if image.file_name == "dim.png"])
    first = write_run(tmp_path / "runs" / "first", project, {"a": 0.6, "b": 0.7})
    assert accept(project, first, before=None).accepted
    assert "round 1 accepted: +0.150" in (told := capsys.readouterr().out) and "the untouched model" in told
    draw(project, stage="automatic")
    second = write_run(tmp_path / "runs" / "second", project, {"a": 0.55, "b": 0.7})
    verdict = accept(project, second, before=None)
    assert not verdict.accepted and verdict.difference == pytest.approx(-0.025)
    assert re.search(r"round 2 refused: -0\.025 .*compared with .*first", capsys.readouterr().out)
    assert list(training(project)) == ["dim.png"], "what the first round brought stays"
    with pytest.raises(RunError, match="no round is open"):
        accept(project, second, before=None)


def test_the_gate_refuses_runs_that_it_cannot_compare(tmp_path: Path) -> None:
    project = make(tmp_path)
    empty = write_run(tmp_path / "runs" / "empty", project, {"a": 0.6})
    draw(project)
    with pytest.raises(RunError, match="no mask trains, so there is nothing to judge"):
        accept(project, empty, before=None)
    come_back(project, handed_out(project))
    with pytest.raises(RunError, match=r"was trained before bright, dim, mixed had labels; python -m adapt fit"):
        accept(project, empty, before=None)
    run = write_run(tmp_path / "runs" / "run", project, {"a": 0.6})
    other = load_recipe(run / "recipe.yaml", ["split.test=0.4"])
    (empty / "recipe.yaml").write_text(as_yaml(other), encoding="utf-8")
    with pytest.raises(RunError, match="differ in split, so they were not scored on the same images"):
        accept(project, run, before=empty)
    alone = load_recipe(run / "recipe.yaml", ["label.root=null"])
    (empty / "recipe.yaml").write_text(as_yaml(alone), encoding="utf-8")
    with pytest.raises(RunError, match="was not trained on the labels of"):
        accept(project, empty, before=None)
    with pytest.raises(RunError, match=r"it has no recipe\.yaml"):
        accept(project, tmp_path, before=None)
    assert rounds_of(project)[0].closed is None


def test_status_counts_masks_and_minutes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make(tmp_path)
    draw(project)
    come_back(project, handed_out(project))
    capsys.readouterr()
    show_status(project)
    # 8 masks kept in the first round: 91 s by hand, 34 s with a model that has not seen the domain
    assert capsys.readouterr().out.splitlines() == [
        "round 1 (assisted), drawn by grey",
        "  4 pictures, 4 handed out, 4 back",
        "  masks: 8 assisted; by people: 0 changed, 0 added",
        f"  about {8 * (14 * 6.5 - 34) / 60:.0f} minutes saved; gate: open",
        f"1 round; about {8 * (14 * 6.5 - 34) / 60:.0f} minutes of people saved, by the paper's seconds a mask",
    ]


def test_a_label_folder_is_made_once_and_needs_images(tmp_path: Path) -> None:
    project = make(tmp_path)
    assert open_project(tmp_path / "labels") == project
    with pytest.raises(RunError, match="is a label folder already"):
        make_project(project.root, name="discs", recipe=project.recipe(), unlabelled=tmp_path / "new")
    with pytest.raises(RunError, match="holds other files"):
        make_project(tmp_path / "new", name="discs", recipe=project.recipe(), unlabelled=tmp_path / "new")
    with pytest.raises(DataError, match="holds none"):
        make_project(tmp_path / "fresh", name="discs", recipe=project.recipe(), unlabelled=tmp_path / "hand")
    with pytest.raises(RunError, match=r"is no label folder \(it has no label\.json\)"):
        open_project(tmp_path / "new")


def test_the_command_line_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", "status", str(tmp_path)]) == 1
    assert "make one with adapt label init" in capsys.readouterr().err
    project = make(tmp_path)
    assert main(["label", "suggest", str(project.root), "adapt:tiny", "--label", "circle"]) == 1
    assert "--label 'circle' is none of the recipe's labels: square" in capsys.readouterr().err
    assert main(["label", "status", str(project.root)]) == 0
    assert "0 rounds; about 0 minutes" in capsys.readouterr().out
