"""Prompts on the ground: points and boxes of GeoJSON or GeoPackage, in any CRS, on the scenes that they lie on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapt.errors import DataError
from adapt.formats.extras import extra
from adapt.formats.georeference import Geometries, outline, reproject, to_pixels
from adapt.formats.geotiff import read_scene
from adapt.formats.vectors import VectorLayer, find_layer, read_features
from adapt.predict.inputs import Input
from adapt.predict.prompted import BoxXYXY, Click, PromptedObject

with extra("satellite", reads="prompts on the ground"):
    import shapely

POINT, MULTI_POINT = 0, 4
COLUMNS = ("object", "category", "label", "score")


@dataclass(frozen=True, eq=False)
class _Feature:
    """A point, or an area whose bounding box is the prompt, in the CRS of its layer."""

    geometry: shapely.Geometry
    values: dict[str, Any]
    place: str


def read_ground_prompts(path: Path, inputs: Sequence[Input]) -> dict[str, list[PromptedObject]]:
    """Name of each scene to the objects that are asked of it: those whose first prompt lies on it.

    Features with the same attribute `object` are one object; others are one each. A point is a click (attribute
    `label`: 0 for the background), anything else a box around it.

    Raises:
        DataError: unreadable, no feature, or none that lies on a scene.
    """
    layer = find_layer(path)
    geometries, values = read_features(layer, COLUMNS)
    features = [
        _Feature(geometry, of_one, f"{path}: feature {number}")
        for number, (geometry, of_one) in enumerate(zip(geometries, values, strict=True), start=1)
        if geometry is not None and not shapely.is_empty(geometry)
    ]
    if not features:
        raise DataError(f"{path}: holds no feature with a geometry; leave out --prompts to find all objects")
    groups: dict[object, list[_Feature]] = {}
    for feature in features:
        own = feature.values.get("object")
        groups.setdefault(feature.place if own in (None, "") else str(own), []).append(feature)
    found = {one.name: _on_scene(one, layer, list(groups.values())) for one in inputs}
    if not any(found.values()):
        raise DataError(
            f"{path}: no feature lies on {'a scene' if len(inputs) > 1 else inputs[0].path}; a mixed-up CRS is the "
            f"usual cause: the prompts are in {layer.crs.to_string()}"
        )
    return {name: objects for name, objects in found.items() if objects}


def _on_scene(one: Input, layer: VectorLayer, groups: Sequence[Sequence[_Feature]]) -> list[PromptedObject]:
    scene = read_scene(one.path)
    if not scene.georeferenced:
        raise DataError(f"{one.path}: names no coordinate reference system, so no prompt on the ground lies on it")
    border = outline(scene, layer.crs)
    near = [group for group in groups if shapely.intersects(border, group[0].geometry)]
    objects = []
    for group in near:
        there: Geometries = np.array([feature.geometry for feature in group], dtype=object)
        pixels = to_pixels(reproject(there, layer.crs, scene.crs), scene)
        objects.append(_object(group, pixels))
    return objects


def _object(group: Sequence[_Feature], pixels: Geometries) -> PromptedObject:
    """An object from its features in pixels of the scene, 0 at the upper left corner of the first pixel."""
    clicks: list[Click] = []
    boxes: list[BoxXYXY] = []
    first = group[0]
    for feature, geometry in zip(group, pixels, strict=True):
        if shapely.get_type_id(geometry) in (POINT, MULTI_POINT):
            label = feature.values.get("label")
            for x, y in shapely.get_coordinates(geometry).tolist():
                clicks.append((x - 0.5, y - 0.5, 1 if label is None else int(float(label) > 0)))
        else:
            x0, y0, x1, y1 = shapely.bounds(geometry).tolist()
            boxes.append((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)))
    if len(boxes) > 1:
        raise DataError(f"{first.place}: the object has {len(boxes)} boxes; give each object one")
    score = first.values.get("score")
    return PromptedObject(
        clicks=tuple(clicks),
        box=boxes[0] if boxes else None,
        category=str(first.values.get("category") or ""),
        score=None if score is None else float(score),
        place=first.place,
    )
