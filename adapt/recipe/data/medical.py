"""Settings of medical volumes and of how intensities become 0..255."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapt.recipe.data.fields import (
    GroupPattern,
    LabelValue,
    MaxVoxels,
    MinObjectPixels,
    OnError,
    OtherLabels,
    check_range,
    values_differ,
)
from adapt.recipe.settings import Settings

WindowName = Literal["soft_tissue", "lung", "bone"]


class HuWindow(Settings):
    """CT intensity: Hounsfield units are clipped to a window and mapped to 0..255."""

    kind: Literal["hu_window"]
    windows: list[WindowName | Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        ["soft_tissue"],
        description="One window for all three channels, or three windows, one a channel: a name or [low, high] in HU.",
    )

    @field_validator("windows")
    @classmethod
    def _one_or_three(cls, windows: list[str | list[float]]) -> list[str | list[float]]:
        if len(windows) not in (1, 3):
            raise ValueError(f"give 1 window or 3 (one a channel), not {len(windows)}")
        for window in windows:
            if isinstance(window, list) and window[0] >= window[1]:
                raise ValueError(f"window {window} must rise: [low, high]")
        return windows


class Percentile(Settings):
    """MR and other intensities without a unit: clipped to percentiles of the volume, mapped to 0..255."""

    kind: Literal["percentile"]
    low: float = Field(0.5, ge=0, lt=100, description="Percentile that becomes 0.")
    high: float = Field(99.5, gt=0, le=100, description="Percentile that becomes 255.")

    @model_validator(mode="after")
    def _rises(self) -> "Percentile":
        check_range(self.low, self.high)
        return self


class MedicalData(Settings):
    """Volumes and label volumes, paired by name, cut into slices, split by patient."""

    kind: Literal["medical"]
    root: str = Field(min_length=1, description="Folder that holds the images and labels; adapt:ct_phantom generates.")
    image_folder: str = Field(
        "images",
        description="Below root: NIfTI, NRRD or MHA, or one DICOM series a folder; or a folder with these for each "
        "patient, which then is the group.",
    )
    label_folder: str = Field(
        "labels", description="Below root: labels of the same names: NIfTI, NRRD, MHA or DICOM SEG."
    )
    image_suffix: str = Field("", description="What names of images end in, before the format: _t1, for example.")
    label_suffix: str = Field("", description="What names of labels end in, before the format: _seg, for example.")
    channel: int | None = Field(None, ge=0, description="Of image files with several volumes (4D): which, from 0.")
    time: Literal["all"] | None = Field(
        None,
        description="all: the fourth axis of NIfTI files (4D) is time, and each slice position is a series of frames.",
    )
    labels: Annotated[dict[str, LabelValue], AfterValidator(values_differ)] = Field(
        min_length=1,
        description="Name and value of each structure in the label volumes; 0 is background. "
        "Segments of a DICOM SEG go by their name.",
    )
    other_labels: OtherLabels = "error"
    intensity: HuWindow | Percentile = Field(discriminator="kind", description="How voxels become 0..255.")
    channels: Literal["windows", "neighbours"] = Field(
        "windows", description="The model's three channels: intensity windows, or the slices before, at and after."
    )
    plane: Literal["axial", "coronal", "sagittal"] = Field("axial", description="Plane of the slices.")
    objects: Literal["component", "label"] = Field(
        "component", description="An object is each connected region of a label in a slice, or the label as a whole."
    )
    min_object_pixels: MinObjectPixels = 16
    max_voxels: MaxVoxels = 2_000_000_000
    on_error: OnError = "fail"
    group_pattern: GroupPattern = None

    @model_validator(mode="after")
    def _channels_are_free(self) -> "MedicalData":
        if self.channels == "neighbours" and isinstance(self.intensity, HuWindow) and len(self.intensity.windows) != 1:
            raise ValueError("channels neighbours fills all three channels, so intensity.windows must be one window")
        return self

    @model_validator(mode="after")
    def _fourth_axis_means_one_thing(self) -> "MedicalData":
        if self.time == "all" and self.channel is not None:
            raise ValueError("time all reads every volume of a 4D file, and channel chooses one: leave one of them out")
        return self
