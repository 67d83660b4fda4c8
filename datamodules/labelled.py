"""Pictures that `adapt label` has masks for: data that trains beside that of a recipe, weighted by stage."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from adapt.datamodules.source import Case, Source
from adapt.errors import DataError
from adapt.formats import CocoImage, rasterise, read_coco, read_image
from adapt.recipe import StageWeights
from adapt.samples import Sample
from adapt.wording import listed

LABELS, PICTURES = "labels.json", "pictures"
"""Below a label folder: the masks as COCO JSON, and the pictures as PNG."""
GROUP = "group"
"""The attribute of a mask that names its group (patient, scene, slide)."""
PREFIX = "labelled/"
MAX_PIXELS = 100_000_000
"""Of a picture; those of `adapt label` are images that were read before, or tiles of them."""


def is_labelled(group: str) -> bool:
    """Whether the group of a sample is one of these, rather than of the recipe's data."""
    return group.startswith(PREFIX)


def refuse_held_out(labelled: Sequence[str], held_out: Sequence[str]) -> None:
    """Check that no picture shows a group that validates or tests.

    Raises:
        DataError: some do.
    """
    both = sorted({group.removeprefix(PREFIX) for group in labelled} & set(held_out))
    if both:
        raise DataError(
            f"label.root has masks of groups that are held out for validation or test: {listed(both)}. Hold out others "
            "(split.validation_groups, split.test_groups), or make a new label folder without their images"
        )


def labelled_source(root: Path, weights: StageWeights) -> Source:
    """Pictures of a label folder that have a mask; none as long as no round has brought any.

    Raises:
        DataError: it is no label folder, or its masks cannot be read.
    """
    path = root / LABELS
    if not path.is_file():
        raise DataError(f"label.root: {root} has no {LABELS}; make the folder with adapt label init")
    images = [image for image in read_coco(path) if image.objects]
    pictures = [root / PICTURES / image.file_name for image in images]
    return Source(
        inputs=[path, *pictures],
        cases=[
            partial(read_case, image, picture, path, weights=weights)
            for image, picture in zip(images, pictures, strict=True)
        ],
    )


def read_case(image: CocoImage, picture: Path, path: Path, *, weights: StageWeights) -> Case:
    """One picture with its masks, which may overlap.

    Raises:
        DataError: unreadable, of another size than its masks, or with a mask of an unknown stage.
    """
    source = f"{path}: {image.file_name}"
    pixels = read_image(picture, max_pixels=MAX_PIXELS)
    if pixels.shape[:2] != (image.height, image.width):
        raise DataError(f"{picture}: is {pixels.shape[:2]}, but {source} is {(image.height, image.width)}")
    sample = Sample(
        image=pixels,
        masks=np.stack([rasterise(one.segmentation, height=image.height, width=image.width) for one in image.objects]),
        categories=tuple(one.category for one in image.objects),
        group=PREFIX + str(image.objects[0].attributes.get(GROUP, image.file_name)),
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=PREFIX + image.file_name,
        source=str(picture),
        weights=tuple(_weight(one.attributes, weights, source) for one in image.objects),
    )
    return Case(samples=[sample])


def _weight(attributes: object, weights: StageWeights, source: str) -> float:
    """Of a mask, by its stage; one that people have changed is theirs."""
    facts = attributes if isinstance(attributes, dict) else {}
    stage = "manual" if facts.get("changed") == "yes" else str(facts.get("stage", "")).replace("-", "_")
    found = weights.model_dump().get(stage)
    if found is None:
        raise DataError(f"{source}: a mask has stage {facts.get('stage')!r}; run adapt label status to write it anew")
    return float(found)
