"""Settings of microscopy images: TIFF stacks, OME-Zarr and pictures with instance labels."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from adapt.recipe.data.fields import (
    CutObjects,
    GroupPattern,
    MaxImagePixels,
    MinObjectPixels,
    OnError,
    TileOverlap,
    TileSize,
    check_tiles,
)
from adapt.recipe.data.medical import Percentile
from adapt.recipe.settings import Settings

Index = Annotated[int, Field(ge=0)]


class MicroscopyData(Settings):
    """Microscopy images and maps of instances, paired by name, cut into planes, frames and tiles, split by image."""

    kind: Literal["microscopy"]
    root: str = Field(
        min_length=1,
        description="Folder of the images and labels; adapt:nuclei, adapt:nuclei_zarr, adapt:dividing_cells generate.",
    )
    image_folder: str = Field("images", description="Below root: TIFF, OME-TIFF, OME-Zarr, PNG or JPEG; . is root.")
    label_folder: str = Field("labels", description="Below root: maps whose values are objects; may be the same.")
    image_suffix: str = Field("", description="What names of images end in, before the format: _img, for example.")
    label_suffix: str = Field("", description="What names of labels end in, before the format: _masks, for example.")
    label_name: str | None = Field(
        None, min_length=1, description="The labels inside each OME-Zarr image, instead of label_folder."
    )
    level: Index = Field(0, description="Of an OME-Zarr pyramid: 0 is the finest.")
    missing_chunks: Literal["error", "fill"] = Field(
        "error", description="Blocks of an OME-Zarr image without a file: an incomplete copy, or empty on purpose."
    )
    axes: str | None = Field(
        None,
        pattern="^[TZCYX]+$",
        description="What the dimensions are, such as ZYX, where the files do not say or say it wrong.",
    )
    time: Index | Literal["all"] | None = Field(
        None, description="Of images with several points in time: one, or all (each is a frame of its series)."
    )
    z: Index | Literal["all", "max"] | None = Field(
        None, description="Of stacks: one plane, all (each is an image), or max (the projection)."
    )
    tracks: Literal["label", "overlap"] = Field(
        "label",
        description="Which objects of two frames or planes are one. label: those of one value; overlap: those that "
        "overlap most, where each frame numbers its own anew.",
    )
    channels: Annotated[list[Index | Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=3)] | None = (
        Field(None, description="One to three, by number or name; null: the only one, or the colours.")
    )
    intensity: Percentile | None = Field(
        Percentile(kind="percentile"),
        description="How values become 0..255, by image and channel; 8-bit colour stays. null: 8 bits stay.",
    )
    split_by: Literal["file", "block"] = Field(
        "file",
        description="What is a group. file: all planes or frames of an image; block: neighbouring ones of a stack.",
    )
    block_planes: Annotated[int, Field(ge=1)] = Field(
        8, description="With split_by block: planes or frames of a block."
    )
    block_gap: Annotated[int, Field(ge=1)] = Field(
        1,
        description="With split_by block: planes or frames left out between blocks; best as many as show one object.",
    )
    category: str = Field("cell", min_length=1, description="What the objects are called.")
    tile_size: TileSize = 512
    tile_overlap: TileOverlap = 64
    cut_objects: CutObjects = "keep"
    min_object_pixels: MinObjectPixels = 16
    max_image_pixels: MaxImagePixels = 100_000_000
    on_error: OnError = "fail"
    group_pattern: GroupPattern = None

    @model_validator(mode="after")
    def _tiles_go_on(self) -> "MicroscopyData":
        check_tiles(self.tile_size, self.tile_overlap)
        return self

    @model_validator(mode="after")
    def _blocks_have_planes(self) -> "MicroscopyData":
        if self.split_by == "block" and "all" not in (self.z, self.time):
            raise ValueError("split_by block makes groups of the planes or frames of a stack, so z or time must be all")
        if self.split_by == "block" and self.group_pattern is not None:
            raise ValueError("group_pattern names the groups, so split_by must be file")
        return self

    @model_validator(mode="after")
    def _pictures_have_one_order(self) -> "MicroscopyData":
        if self.time == "all" and self.z == "all":
            raise ValueError("objects are followed through time or through planes: with time all, z is a plane or max")
        if self.tracks == "overlap" and "all" not in (self.z, self.time):
            raise ValueError("tracks overlap links frames or planes, so time or z must be all")
        return self
