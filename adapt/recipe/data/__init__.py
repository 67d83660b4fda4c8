"""Settings of the domains, one file each; `kind` decides which one a recipe means."""

from typing import Annotated

from pydantic import Field

from adapt.recipe.data.coco import CocoData
from adapt.recipe.data.folder import FolderData
from adapt.recipe.data.medical import HuWindow, MedicalData, Percentile
from adapt.recipe.data.satellite import BandPercentile, BandRange, SatelliteData

DataSettings = Annotated[
    MedicalData | FolderData | CocoData | SatelliteData,
    Field(discriminator="kind"),
]

__all__ = [
    "BandPercentile",
    "BandRange",
    "CocoData",
    "DataSettings",
    "FolderData",
    "HuWindow",
    "MedicalData",
    "Percentile",
    "SatelliteData",
]
