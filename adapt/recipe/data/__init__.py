"""Settings of the domains, one file each; `kind` decides which one a recipe means."""

from typing import Annotated

from pydantic import Field

from adapt.recipe.data.coco import CocoData
from adapt.recipe.data.folder import FolderData
from adapt.recipe.data.hub import HubData
from adapt.recipe.data.medical import HuWindow, MedicalData, Percentile
from adapt.recipe.data.microscopy import MicroscopyData
from adapt.recipe.data.satellite import BandPercentile, BandRange, SatelliteData
from adapt.recipe.data.synthetic import SyntheticData
from adapt.recipe.data.yolo import YoloData

DataSettings = Annotated[
    MedicalData | SatelliteData | MicroscopyData | FolderData | CocoData | YoloData | HubData | SyntheticData,
    Field(discriminator="kind"),
]


def group_rule(data: DataSettings) -> dict[str, str | int | None]:
    """The keys of a recipe that say which cases are one group (patient, scene or slide), and their values."""
    match data:
        case HubData():
            return {"data.group_column": data.group_column, "data.id_column": data.id_column}
        case SatelliteData():
            block_size = data.block_size if data.split_by == "block" else None
            return {
                "data.group_pattern": data.group_pattern,
                "data.split_by": data.split_by,
                "data.block_size": block_size,
            }
        case SyntheticData():
            return {}
        case MicroscopyData() if data.split_by == "block":
            return {
                "data.split_by": data.split_by,
                "data.block_planes": data.block_planes,
                "data.block_gap": data.block_gap,
            }
        case _:
            return {"data.group_pattern": data.group_pattern}


__all__ = [
    "BandPercentile",
    "BandRange",
    "CocoData",
    "DataSettings",
    "FolderData",
    "HuWindow",
    "HubData",
    "MedicalData",
    "MicroscopyData",
    "Percentile",
    "SatelliteData",
    "SyntheticData",
    "YoloData",
    "group_rule",
]
