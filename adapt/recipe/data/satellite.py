"""Settings of satellite and aerial scenes, and of how band values become 0..255."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from adapt.recipe.data.fields import (
    CutObjects,
    GroupPattern,
    LabelKind,
    Labels,
    MinObjectPixels,
    Objects,
    OnError,
    OtherLabels,
    TileOverlap,
    TileSize,
    check_labels_are_named,
    check_range,
    check_tiles,
)
from adapt.recipe.settings import Settings, Share


class BandRange(Settings):
    """The same range for all bands and scenes: what is below or above is clipped."""

    kind: Literal["range"]
    low: float = Field(description="Stored value that becomes 0.")
    high: float = Field(description="Stored value that becomes 255.")

    @model_validator(mode="after")
    def _rises(self) -> "BandRange":
        check_range(self.low, self.high)
        return self


class BandPercentile(Settings):
    """Each band of each scene is clipped to two of its percentiles, estimated from windows spread over the scene."""

    kind: Literal["percentile"]
    low: float = Field(2.0, ge=0, lt=100, description="Percentile that becomes 0.")
    high: float = Field(98.0, gt=0, le=100, description="Percentile that becomes 255.")

    @model_validator(mode="after")
    def _rises(self) -> "BandPercentile":
        check_range(self.low, self.high)
        return self


class SatelliteData(Settings):
    """GeoTIFF scenes of any size with building footprints or other areas, cut into tiles, split by place."""

    kind: Literal["satellite"]
    root: str = Field(
        min_length=1, description="Folder that holds the images and labels; adapt:satellite_scenes generates."
    )
    image_folder: str = Field("images", description="Below root: GeoTIFF scenes (.tif, .tiff).")
    label_path: str = Field(
        "labels",
        description="Below root: one vector file (.gpkg, .geojson, .shp) for all scenes, or a folder with one such "
        "file for all scenes, or with a vector file or label raster of the same name for each scene.",
    )
    layer: str | None = Field(None, description="Layer of a vector file with several.")
    label_crs: str | None = Field(
        None, description="CRS of vector labels, such as EPSG:32633, instead of the one their file names, or lacks."
    )
    category: str = Field("object", description="What objects are called that have no name of their own.")
    category_column: str | None = Field(
        None, description="Attribute of vector labels with the category of each; where it is empty: category."
    )
    label_kind: LabelKind = Field(
        "instances", description="Of label rasters. instances: each value is one object; classes: each is a class."
    )
    labels: Labels = Field({})
    other_labels: OtherLabels = "error"
    objects: Objects = "component"
    bands: list[int | str] | None = Field(
        None,
        description="The model's channels: 3 bands, or 1 for all three; a number from 1, a band's description, or its "
        "colour (red, green, blue, nir). null: the first three, or the first if there are fewer.",
    )
    intensity: Annotated[BandRange | BandPercentile, Field(discriminator="kind")] | None = Field(
        None, description="How band values become 0..255. null: uint8 as stored, others by percentiles 2 to 98."
    )
    tile_size: TileSize = 512
    tile_overlap: TileOverlap = 64
    max_nodata: Share = Field(0.5, description="Tiles with a larger share of pixels without a value are left out.")
    cut_objects: CutObjects = "keep"
    split_by: Literal["scene", "block"] = Field(
        "scene",
        description="What is a group. scene: scenes that touch or overlap are one; block: squares of block_size.",
    )
    block_size: int = Field(2048, ge=32, description="With split_by block: side of a block, pixels.")
    min_object_pixels: MinObjectPixels = 16
    on_error: OnError = "fail"
    group_pattern: GroupPattern = None

    @model_validator(mode="after")
    def _classes_are_named(self) -> "SatelliteData":
        check_labels_are_named(self.label_kind, self.labels)
        return self

    @model_validator(mode="after")
    def _channels_are_one_or_three(self) -> "SatelliteData":
        if self.bands is not None and len(self.bands) not in (1, 3):
            raise ValueError(f"bands: give 1 or 3, not {len(self.bands)}")
        return self

    @model_validator(mode="after")
    def _tiles_fit(self) -> "SatelliteData":
        check_tiles(self.tile_size, self.tile_overlap)
        if self.split_by == "block" and self.block_size < self.tile_size:
            raise ValueError(f"block_size ({self.block_size}) must not be below tile_size ({self.tile_size})")
        if self.split_by == "block" and self.group_pattern is not None:
            raise ValueError("group_pattern names the groups, so split_by must be scene")
        return self
