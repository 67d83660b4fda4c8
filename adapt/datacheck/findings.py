"""A finding, and the findings about cases and objects. Pure: from summaries to findings."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adapt.datacheck.walk import ObjectSummary, SampleSummary
from adapt.datamodules.reasons import by_reason, told
from adapt.datamodules.store import Facts
from adapt.segmenters import SegmenterSpec
from adapt.wording import counted, listed

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""error: training would refuse the data, or its figures would be wrong; warning: it would be worse than it need be,
or the figures hard to read; note: good to know."""


@dataclass(frozen=True)
class Finding:
    """Something about the data.

    Attributes:
        code: the same for findings of one kind; `docs/checking-data.md` explains each.
        severity: see `SEVERITIES`.
        text: what is found, and what to do about it.
        where: names of all samples or groups it is about, or the errors of all cases that cannot be used; empty for
            the data as a whole.
        caption: a few words for the pictures of these samples; empty if a picture shows nothing of it.
    """

    code: str
    severity: Severity
    text: str
    where: tuple[str, ...] = ()
    caption: str = ""


def of_total(count: int, total: int, name: str) -> str:
    """`12 of 1,200 images (1.0 %)`."""
    share = 100 * count / total
    return f"{count:,} of {counted(total, name)} ({f'{share:.1f}' if share >= 0.1 else 'under 0.1'} %)"


def unusable_cases(facts: Facts, *, refused: bool) -> list[Finding]:
    """Cases that cannot be read, or whose image and label do not belong together; one finding a reason.

    Args:
        facts: of a store that was made without them.
        refused: whether `fit` would stop at them (`data.on_error: fail`) or go on without.
    """
    severity: Severity = "error" if refused else "warning"
    groups = by_reason(facts.skipped)
    return [Finding("unusable_case", severity, told(group), tuple(group)) for group in groups]


def left_out(facts: Facts) -> list[Finding]:
    """Images without an object, and objects that are smaller than the recipe wants."""
    found = []
    if facts.empty_cases:
        text = (
            f"{counted(facts.empty_cases, 'case')} without any object, left out: is the label complete, are all "
            "structures named, is data.min_object_pixels too high?"
        )
        found.append(Finding("empty_cases", "warning", text))
    elif facts.empty_images:
        images = facts.empty_images + facts.samples
        text = f"{of_total(facts.empty_images, images, 'image')} without any object, left out; each case has others"
        found.append(Finding("empty_images", "note", text))
    if facts.unlabelled:
        text = (
            f"no label lies on {counted(len(facts.unlabelled), 'scene')}, left out: {listed(facts.unlabelled)}; if "
            "something is there, the scene is in another place than its file says, or was not labelled"
        )
        found.append(Finding("unlabelled_scenes", "warning", text, tuple(facts.unlabelled)))
    if facts.small_objects:
        share = of_total(facts.small_objects, facts.small_objects + facts.objects, "object")
        text = f"{share} smaller than data.min_object_pixels, left out; lower it if they matter"
        found.append(Finding("small_objects", "note", text))
    return found


def tiny_objects(samples: Sequence[SampleSummary], spec: SegmenterSpec) -> list[Finding]:
    """Objects below what the model can resolve: less than a cell of its mask grid, or lost when the image is resized.

    The decoder predicts `spec.mask_size` squared logits for `spec.image_size` squared pixels. An object that is
    smaller than one of these cells cannot be outlined, whatever the training.
    """
    cell = (spec.image_size / spec.mask_size) ** 2
    tiny = {s.sample_id: [o for o in s.objects if not o.seen or o.area * s.area_scale(spec) < cell] for s in samples}
    objects = [o for found in tiny.values() for o in found]
    if not objects:
        return []
    total = sum(len(sample.objects) for sample in samples)
    lost = sum(not o.seen for o in objects)
    gone = f", {lost:,} without a pixel left" if lost else ""
    named = listed([f"{name} {count:,}" for name, count in Counter(o.category for o in objects).most_common()])
    text = (
        f"{of_total(len(objects), total, 'object')} too small for the model, which reads {spec.image_size} px: below "
        f"one cell of its mask grid ({cell:.0f} px there){gone}; {named}. Use a model with a larger input, or cut the "
        "images into tiles or crops; or leave these objects out with data.min_object_pixels"
    )
    where = tuple(sorted((name for name in tiny if tiny[name]), key=lambda name: -len(tiny[name])))
    return [Finding("tiny_objects", "warning", text, where, "objects too small")]


def several_pieces(samples: Sequence[SampleSummary]) -> list[Finding]:
    """Objects that lie in pieces that do not touch, the cut ones apart: a border may part what is whole.

    Meant for data whose objects are single things; not where a label as a whole is the object.
    """

    def torn(item: ObjectSummary) -> bool:
        return item.pieces > 1 and not item.cut

    counts = {sample.sample_id: sum(map(torn, sample.objects)) for sample in samples}
    objects = sum(counts.values())
    if not objects:
        return []
    total = sum(len(sample.objects) for sample in samples)
    where = tuple(sorted((name for name in counts if counts[name]), key=lambda name: -counts[name]))
    text = (
        f"{of_total(objects, total, 'object')} in pieces that do not touch, in {counted(len(where), 'image')}: one "
        "number was given to several things, or stray pixels were left. Give each thing a number of its own; "
        "masks of a class are read by data.label_kind=classes (of folders, Hub data and label rasters). "
        f"Most in: {listed(where)}"
    )
    return [Finding("several_pieces", "warning", text, where, "object in several pieces")]


def overlapping_objects(samples: Sequence[SampleSummary]) -> list[Finding]:
    """Objects that share pixels: right for some data, a double annotation in others."""
    where = tuple(sample.sample_id for sample in samples if any(item.overlaps for item in sample.objects))
    if not where:
        return []
    total = sum(len(sample.objects) for sample in samples)
    objects = sum(item.overlaps for sample in samples for item in sample.objects)
    text = (
        f"{of_total(objects, total, 'object')} sharing pixels with another, in {counted(len(where), 'image')}; "
        "right if things cover one another, else annotated twice"
    )
    return [Finding("overlapping_objects", "note", text, where)]
