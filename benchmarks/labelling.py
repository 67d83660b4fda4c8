"""The data engine on real images: five labelled by hand, two rounds, and what it brings against all labels.

    python benchmarks/labelling.py nuclei

`nuclei` holds `images/` and `masks/` (maps of instances with the same names). The images are dealt out by seed: some
are labelled, some judge each round (the gate), some are only for the table, and the others count as unlabelled. It
runs the commands that a team would run. People are simulated with the true masks: of what they are handed, a mask of an
IoU of `KEPT` with an object stays as it is, a worse one is redrawn as the object, objects without one are added, and
masks without an object are removed.

Each step that is done is noted in `--work`, so that the same command goes on where it was stopped. The table is
Markdown, and lies in `table.md` there as well. Below each command stand the seconds of CPU that it took.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as coco

from adapt.files import write_text
from adapt.formats import encode_masks, read_label_map
from adapt.formats.coco_review import read_coco_review, write_coco_review
from adapt.formats.review import ReviewImage, ReviewObject

KEPT, CHANGED = 0.8, 0.5
"""IoU from which people keep a mask, and from which they change it."""
PIXELS = 100_000_000
LOWER = ("generate.predicted_iou=0.6", "generate.stability=0.8")
"""A small model is never as sure of itself as the published thresholds ask for; the same ones for each row."""


def main() -> None:
    """Run the loop and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with images/ and masks/")
    parser.add_argument("--work", type=Path, default=Path("labelling"), help="receives everything; goes on in it")
    parser.add_argument("--checkpoint", default="adapt:tiny")
    parser.add_argument("--largest", type=int, default=200_000, help="pixels of an image; larger ones are left out")
    parser.add_argument("--labelled", type=int, default=5, help="images labelled by hand from the start")
    parser.add_argument("--gate", type=int, default=6, help="images, labelled by hand, that judge each round")
    parser.add_argument("--final", type=int, default=8, help="images, labelled by hand, for the table alone")
    parser.add_argument("--unlabelled", type=int, default=24, help="images that count as unlabelled, at most")
    parser.add_argument("--grid", type=int, default=16, help="clicks along a side, where all objects are looked for")
    parser.add_argument("--review", type=int, default=8, help="pictures that people look at in each round")
    parser.add_argument(
        "--steps",
        type=int,
        default=100,
        help="optimiser steps of each of the four trainings; with 250 and the other defaults, 13 minutes of one core",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of the recipe")
    options = parser.parse_intermixed_args()
    parts = once(options, "parts", lambda: deal(options))
    print({name: len(names) for name, names in parts.items()}, flush=True)
    lines = [
        f"Scored on {len(parts['final'])} images that no training and no gate has seen; {options.checkpoint}, "
        f"{options.steps} steps each. In each round people look at {options.review} pictures of the "
        f"{len(parts['unlabelled'])} images that are not labelled.",
        "",
        "| trained on | gate | mIoU, one click | mIoU, box | matching AP, no prompt |",
        "|---|---|--:|--:|--:|",
    ]
    for name, verdict, run in loop(options, parts):
        found = once(options, f"figures of {name}", partial(figures, options, Path(run)))
        lines.append(f"| {name} | {verdict} | {' | '.join(f'{value:.3f}' for value in found)} |")
    write_text(options.work / "table.md", "\n".join(lines) + "\n")
    print("\n" + "\n".join(lines))


def once(options: argparse.Namespace, step: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - plain data
    """What a step has given; it is made if it was not finished before, with the same options."""
    path = options.work / "progress.json"
    asked = {name: str(value) for name, value in sorted(vars(options).items())}
    noted = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"options": asked}
    if noted["options"] != asked:
        raise SystemExit(f"{options.work}: was begun with other options, {noted['options']}; name a new --work")
    if step not in noted:
        options.work.mkdir(parents=True, exist_ok=True)
        noted[step] = make()
        write_text(path, json.dumps(noted, indent=1) + "\n")
    return noted[step]


def deal(options: argparse.Namespace) -> dict[str, list[str]]:
    """Names of the images of each part; copies of those that are labelled lie in `hand`, `final` and `all`."""
    names = []
    for path in sorted((options.data / "images").iterdir()):
        with Image.open(path) as image:
            if image.width * image.height <= options.largest:
                names.append(path.name)
    order = [names[place] for place in np.random.default_rng(options.seed).permutation(len(names))]
    counts = (options.labelled, options.gate, options.final)
    if sum(counts) >= len(order):
        raise SystemExit(f"{len(order)} images are too few for {counts} labelled, gate and final ones")
    ends = np.cumsum(counts)
    parts = dict(zip(("labelled", "gate", "final", "unlabelled"), np.split(order, ends), strict=True))
    found = {name: [str(one) for one in part] for name, part in parts.items()}
    found["unlabelled"] = found["unlabelled"][: options.unlabelled]
    copies = {
        "hand": found["labelled"] + found["gate"],
        "final": found["final"],
        "all": found["labelled"] + found["gate"] + found["unlabelled"],
        "new": found["unlabelled"],
    }
    for folder, own in copies.items():
        for name in own:
            copy(options.data / "images" / name, options.work / folder / "images")
            if folder != "new":
                copy(label_file(options.data, name), options.work / folder / "masks")
    return found


def copy(path: Path, folder: Path) -> None:
    """Copy a file into a folder that may be new."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder)


def label_file(data: Path, name: str) -> Path:
    """The map of an image."""
    (found,) = (data / "masks").glob(f"{Path(name).stem}.*")
    return found


def adapt(*arguments: str | Path) -> str:
    """Run a command, show what it prints on standard output, and return that."""
    command = [sys.executable, "-m", "adapt", *map(str, arguments)]
    print(f"\n$ adapt {' '.join(map(str, arguments))}", flush=True)
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "150"})
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
    print(f"{done.stdout}({seconds:.0f} s of CPU)", flush=True)
    if done.returncode and arguments[:2] != ("label", "accept"):  # which ends with 1 where a round is refused
        raise SystemExit(f"ended with {done.returncode}")
    return done.stdout


def loop(options: argparse.Namespace, parts: dict[str, list[str]]) -> list[tuple[str, str, str]]:
    """Two rounds; of each training its name, the verdict of the gate, and its run folder."""
    labels = options.work / "labels"
    settings = [
        f"data.root={options.work / 'hand'}",
        "data.tile_size=256",
        "data.tile_overlap=32",
        f"split.test_groups={json.dumps([Path(name).stem for name in parts['gate']])}",
        "split.validation=0",
        f"model.checkpoint={options.checkpoint}",
        "trainer.epochs=1",
        f"trainer.min_steps={options.steps}",
        "prompts.corrections=0",
        "prompts.idle_rounds=0",
        "evaluation.retention.images=0",
        "evaluation.automatic.images=0",
        "evaluation.following_images=0",
        "evaluation.gallery=0",
        f"label.images={options.review}",
        f"generate.points_per_side={options.grid}",
        *LOWER,
        f"output={options.work / 'runs'}",
        *options.overrides,
    ]
    recipe = labels / "microscopy_nuclei.yaml"
    if not recipe.exists():
        images = options.work / "new" / "images"
        adapt("label", "init", labels, "--recipe", "microscopy_nuclei", "--images", images, *settings)
    alone = once(options, "run alone", lambda: trained(options, recipe))
    rows = [(f"{options.labelled} by hand", "", alone)]
    run = alone
    for number, stage in enumerate(("assisted", "semi-automatic"), start=1):
        folder = labels / "rounds" / f"{number:03d}"

        def reviewed(run: str = run, stage: str = stage, folder: Path = folder) -> bool:
            adapt("label", "suggest", labels, run, "--stage", stage)
            correct(options, folder)
            adapt("label", "import", labels, folder / "corrected.json")
            return True

        once(options, f"review {number}", reviewed)
        after = once(options, f"run {number}", lambda: trained(options, recipe))
        if not (folder / "closed.json").exists():
            adapt("label", "accept", labels, after)
        accepted = json.loads((folder / "closed.json").read_text(encoding="utf-8"))["accepted"]
        rows.append((f"and round {number} ({stage})", "accepted" if accepted else "refused", after))
        run = after if accepted else run
    adapt("label", "status", labels)
    everything = [f"data.root={options.work / 'all'}", "label.root=null"]
    rows.append(("all by hand", "", once(options, "run all", lambda: trained(options, recipe, *everything))))
    return rows


def trained(options: argparse.Namespace, recipe: Path, *overrides: str) -> str:
    """Fit; the run folder."""
    runs: Path = options.work / "runs" / recipe.stem
    before = set(runs.glob("*"))
    adapt("fit", "--recipe", recipe, *overrides)
    (run,) = set(runs.glob("*")) - before
    return str(run)


def correct(options: argparse.Namespace, folder: Path) -> None:
    """What people make of the pictures that are handed out, from the true masks."""
    images = read_coco_review(folder / "review.json", max_pixels=PIXELS)
    corrected = [corrected_image(image, truth_of(options.data, image)) for image in images]
    write_coco_review(folder / "corrected.json", corrected)


def truth_of(data: Path, image: ReviewImage) -> npt.NDArray[np.integer]:
    """The map of a picture, which may be a tile of an image."""
    match = re.fullmatch(r"(.+?)(?:_y(\d{5})_x(\d{5}))?\.png", image.file_name)
    assert match is not None
    labels = read_label_map(label_file(data, match[1]), max_pixels=PIXELS)
    top, left = int(match[2] or 0), int(match[3] or 0)
    return labels[top : top + image.height, left : left + image.width]


def corrected_image(image: ReviewImage, labels: npt.NDArray[np.integer]) -> ReviewImage:
    """Each object with the mask that covers it best, if that is good enough; no pixel has two owners."""
    truth = encode_masks(np.stack([labels == value for value in np.unique(labels) if value]))
    size = [image.height, image.width]
    drawn, objects = ([{"size": size, "counts": one} for one in of] for of in ([o.mask for o in image.objects], truth))
    ious = np.asarray(coco.iou(drawn, objects, [0] * len(objects))) if drawn else np.zeros((0, len(objects)))
    used: set[int] = set()
    found: list[ReviewObject] = []
    for place, mask in enumerate(truth):
        best = int(ious[:, place].argmax()) if len(ious) else -1
        iou = float(ious[best, place]) if len(ious) else 0.0
        if best in used or iou < CHANGED:
            found.append(ReviewObject("", "nucleus", mask))
            continue
        used.add(best)
        one = image.objects[best]
        found.append(one if iou >= KEPT else ReviewObject(one.identity, one.label, mask, one.attributes))
    return ReviewImage(image.file_name, image.height, image.width, tuple(without_overlaps(found, size)))


def without_overlaps(objects: list[ReviewObject], size: list[int]) -> list[ReviewObject]:
    """What is kept of a model's masks gives way to what people have drawn beside it."""
    taken = np.zeros(size, dtype=bool)
    left = []
    for one in sorted(objects, key=lambda one: one.identity != ""):
        mask = coco.decode({"size": size, "counts": one.mask}).astype(bool) & ~taken
        taken |= mask
        if mask.any():
            left.append(ReviewObject(one.identity, one.label, encode_masks(mask[None])[0], one.attributes))
    return left


def figures(options: argparse.Namespace, run: Path) -> list[float]:
    """Of a run on the images of the table: mIoU with one click and with a box, and matching AP without prompts."""
    final = options.work / "final"
    before = set(run.glob("evaluations/*"))
    adapt("evaluate", run, f"data.root={final}", "split.test_groups=[]")
    (scored,) = set(run.glob("evaluations/*")) - before
    protocols = json.loads((scored / "results.json").read_text(encoding="utf-8"))["protocols"]
    predicted = options.work / "predicted" / run.name
    adapt("predict", run, final / "images", "--output", predicted, "--format", "tiff")
    told = options.work / "predicted" / f"{run.name}.json"
    adapt("score", predicted, final / "masks", "--json", told)
    content = json.loads(told.read_text(encoding="utf-8"))
    return [*(protocols[name]["tuned"]["miou"] for name in ("one_click", "box")), content["matching_ap"]]


if __name__ == "__main__":
    main()
