"""What a run is judged by: the figures of `results.json`. Their shape only grows.

Unless it says otherwise, a figure is a mean over the objects of a category within a group, then over the group's
categories, then over groups. How each is found: `summary`.
"""

from dataclasses import asdict, dataclass

from adapt.evaluate.following import Following
from adapt.evaluate.shrinking import Shrinkage
from adapt.evaluate.sizes import SizePart
from adapt.metrics import Bin, Interval


@dataclass(frozen=True)
class Calibration:
    """Whether a model knows how good its answers are; over objects, each counts alike.

    Attributes:
        error: expected error of the predicted IoU.
        bins: predicted and true IoU of the objects of each tenth that has some.
    """

    error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class ClickFigures:
    """Of a protocol that corrects its answers.

    Attributes:
        curve: mIoU after each click.
        noc85, noc90: clicks until the IoU is 0.85 or 0.9 (NoC); an object that never gets there counts all of them.
        never85, never90: share of the objects that never get there.
    """

    curve: tuple[float, ...]
    noc85: float
    noc90: float
    never85: float
    never90: float


@dataclass(frozen=True)
class StructureFigures:
    """One category in 3D, averaged over volumes, then groups."""

    dice: float
    nsd: float


@dataclass(frozen=True)
class VolumeFigures:
    """Volumes whose slices were answered one by one; a category of a volume counts as an object.

    Attributes:
        dice, nsd: in three dimensions.
        tolerance: least and greatest of the NSD, in `unit`: two pixels differ with the spacing of the volumes.
        unit: None where the volumes are not all in the same unit.
        categories: the same for each category.
        volumes: how many.
    """

    dice: float
    nsd: float
    tolerance: tuple[float, float]
    unit: str | None
    categories: dict[str, StructureFigures]
    volumes: int


@dataclass(frozen=True)
class ModelFigures:
    """One model under one protocol.

    Attributes:
        miou, dice, nsd: of the answer: the most confident candidate, after the last click.
        oracle_miou: of the best candidate.
        low, high: 95 % bootstrap interval of `miou` over groups; None with a single group.
        hd95: in `unit`; None, as the unit, where the samples are not all in the same unit.
        missed: objects whose answer is empty.
        categories: mIoU of each category, averaged over objects, then groups.
        groups: mIoU of each group.
        sizes: mIoU of each part of `Results.sizes`.
        shrinkage: likewise; see `Shrinkage`.
        calibration: see `Calibration`.
        clicks: see `ClickFigures`; None for a single prompt.
        volumes: see `VolumeFigures`; None where samples are no slices of volumes, or the answers are corrected.
    """

    miou: float
    oracle_miou: float
    dice: float
    low: float | None
    high: float | None
    categories: dict[str, float]
    nsd: float
    hd95: float | None
    unit: str | None
    missed: int
    groups: dict[str, float]
    sizes: dict[str, float]
    shrinkage: dict[str, Shrinkage]
    calibration: Calibration
    clicks: ClickFigures | None
    volumes: VolumeFigures | None


@dataclass(frozen=True)
class Gain:
    """Tuned minus untouched, paired by group, with its 95 % interval; of clicks, less than 0 is better."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Difference:
    """Tuned minus untouched, paired by group.

    Attributes:
        miou, low, high: of the mIoU, with the 95 % interval.
        dice, nsd: see `Gain`.
        noc85, noc90: likewise; None for a single prompt.
        volume_dice: likewise; None without volumes.
    """

    miou: float
    low: float | None
    high: float | None
    dice: Gain
    nsd: Gain
    noc85: Gain | None
    noc90: Gain | None
    volume_dice: Gain | None


@dataclass(frozen=True)
class ProtocolFigures:
    """One protocol: the untouched model, and the tuned one if there is one.

    Attributes:
        box_as_mask: mIoU of the truth's tight box, filled; what a box is worth without any model.
    """

    base: ModelFigures
    tuned: ModelFigures | None
    difference: Difference | None
    box_as_mask: float

    @property
    def models(self) -> dict[str, ModelFigures]:
        """The models that were evaluated, by `base` and `tuned`."""
        return {"base": self.base} if self.tuned is None else {"base": self.base, "tuned": self.tuned}


@dataclass(frozen=True)
class AutomaticFigures:
    """One model on all images that were looked at.

    Attributes:
        masks: an image, on average.
        empty: images without any mask.
        found50, found75: share of the objects with a mask of an IoU of at least 0.5 and 0.75.
        best_iou: of the best mask of an object, on average.
        average_recall: share of the objects that are found, averaged over IoUs from 0.5 to 0.95.
        average_recall_interval: of it, 95 % over groups.
        matching_ap: TP / (TP + FP + FN) of the masks as a label map, averaged over the same IoUs, over images, then
            over groups; see `adapt.metrics.matching`. None if no image has an object.
        matching_ap_interval: of it, 95 % over groups.
        best_predicted_iou, best_stability: the highest of all candidates of all images.
        predicted_iou, stability: thresholds of generation.
    """

    masks: float
    empty: int
    found50: float
    found75: float
    best_iou: float
    average_recall: float
    average_recall_interval: Interval
    matching_ap: float | None
    matching_ap_interval: Interval
    best_predicted_iou: float
    best_stability: float | None
    predicted_iou: float
    stability: float


@dataclass(frozen=True)
class Automatic:
    """Masks without prompts; `tuned` and what is tuned minus untouched are None for the untouched model alone.

    Attributes:
        images, objects: how many were looked at.
    """

    images: int
    objects: int
    base: AutomaticFigures
    tuned: AutomaticFigures | None
    found50: Gain | None
    best_iou: Gain | None
    average_recall: Gain | None
    matching_ap: Gain | None

    @property
    def models(self) -> dict[str, AutomaticFigures]:
        """Figures by `base` and `tuned`."""
        return {"base": self.base} if self.tuned is None else {"base": self.base, "tuned": self.tuned}

    def as_dict(self) -> dict[str, object]:
        """Plain data for `results.json`; what was not measured has no entry."""
        last = self.tuned or self.base
        thresholds = {"predicted_iou": last.predicted_iou, "stability": last.stability}
        return thresholds | {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Results:
    """What a run is judged by.

    Attributes:
        protocols: name to figures.
        objects, groups, images: how many were evaluated.
        sizes: what small, medium and large objects are here.
        following: whether prompts matter; None if it was not checked, or no image has two objects.
        retention: the same on general images: what was forgotten; None if it was not measured.
        automatic: masks without prompts; None if they were not measured.
    """

    protocols: dict[str, ProtocolFigures]
    objects: int
    groups: int
    images: int
    sizes: tuple[SizePart, ...]
    following: Following | None = None
    retention: "Retention | None" = None
    automatic: Automatic | None = None

    def as_dict(self) -> dict[str, object]:
        """Plain data for `results.json`; a model that was not evaluated has no entry."""
        protocols = {
            name: {key: value for key, value in asdict(figures).items() if value is not None}
            for name, figures in self.protocols.items()
        }
        counts = {"objects": self.objects, "groups": self.groups, "images": self.images}
        following = {} if self.following is None else {"following": self.following.as_dict()}
        retention = {} if self.retention is None else {"retention": self.retention.as_dict()}
        automatic = {} if self.automatic is None else {"automatic": self.automatic.as_dict()}
        return {
            "protocols": protocols,
            **counts,
            "sizes": [asdict(part) for part in self.sizes],
            **following,
            **retention,
            **automatic,
        }


@dataclass(frozen=True)
class Retention:
    """Figures on general images.

    Attributes:
        data: which images, as a recipe names them.
        results: of both models on them.
    """

    data: str
    results: Results

    def as_dict(self) -> dict[str, object]:
        """Plain data for `results.json`."""
        return {"data": self.data, **self.results.as_dict()}
