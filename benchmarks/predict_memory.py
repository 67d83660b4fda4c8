"""Peak memory of `adapt predict` on a scene of any size: `python benchmarks/predict_memory.py --side 20000`.

With `--planes` on a plane of microscopy, an OME-Zarr image of chunks of 512 x 512, whose labels are a TIFF.

A scene of discs is generated, and segmented in tiles by a stand-in that costs next to nothing, so that what is measured
is reading, stitching and writing. A segmenter adds what it needs for one tile.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import torch
import zarr
from affine import Affine
from rasterio.windows import Window
from rich.console import Console
from torch import Tensor, nn

from adapt.predict import Model, Request, predict
from adapt.prompts import Prompts
from adapt.recipe import GenerateSettings, MicroscopyData, PredictSettings, SatelliteData
from adapt.segmenters import ImageFeatures, MaskPredictions, SegmenterSpec

PITCH, RADIUS, ROW = 1000, 400, 16
"""Discs lie on a lattice, larger than what tiles share, so that most are cut; neighbours have other grey values."""
FRAME, MASK = 256, 128


class StandIn(nn.Module):
    """An object is what has the grey value that is clicked on."""

    classes: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.spec = SegmenterSpec(FRAME, MASK, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), candidates=3, fit="pad")
        self.commit = None
        self.weight = nn.Parameter(torch.zeros(1))

    def encode(self, images: Tensor) -> ImageFeatures:
        """Every second pixel."""
        return ImageFeatures(embedding=images[:, :1, ::2, ::2])

    def decode(self, features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        """Three times the same."""
        assert prompts.points is not None and multimask
        image = features.embedding[0, 0]
        column, row = (prompts.points[0, :, 0] / 2).long().clamp(0, MASK - 1).unbind(-1)
        values = image[row, column]
        masks = ((image - values[:, None, None]).abs() < 0.5) & (values > 0)[:, None, None]
        iou = torch.tensor([0.1, 0.2, 0.95]).expand(1, len(values), 3)
        return MaskPredictions(logits=(masks.float() * 20 - 10)[None, :, None].expand(-1, -1, 3, -1, -1), iou=iou)


def write_scene(path: Path, side: int) -> int:
    """Discs on a lattice; how many lie wholly on the scene."""
    place = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
    facts = {"driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "uint8", "compress": "deflate"}
    with rasterio.open(
        path, "w", **facts, crs="EPSG:32633", transform=place, tiled=True, blockxsize=512, blockysize=512
    ) as file:
        for top in range(0, side, 512):
            height = min(512, side - top)
            file.write(_discs(top, height, side), 1, window=Window(0, top, side, height))
    return int((side // PITCH) ** 2)


def write_planes(folder: Path, side: int) -> int:
    """The same as an OME-Zarr image of one plane."""
    group = zarr.open_group(folder, mode="w", zarr_format=2)
    array = group.create_array("0", shape=(side, side), chunks=(512, 512), dtype="uint8")
    for top in range(0, side, 512):
        array[top : top + 512] = _discs(top, min(512, side - top), side)
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    axes = [{"name": name, "type": "space"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return int((side // PITCH) ** 2)


def _discs(top: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    rows, columns = np.arange(top, top + height)[:, None], np.arange(width)[None]
    near = (rows % PITCH - PITCH // 2) ** 2 + (columns % PITCH - PITCH // 2) ** 2 <= RADIUS**2
    values = 1 + (rows // PITCH % ROW * ROW + columns // PITCH % ROW) % 250
    return np.where(near, values, 0).astype(np.uint8)


def main() -> None:
    """Generate, segment, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096, help="of the scene, pixels")
    parser.add_argument("--tile", type=int, default=1024, help="side of a tile, pixels")
    parser.add_argument("--planes", action="store_true", help="a plane of microscopy in place of a scene")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("plane.zarr" if options.planes else "scene.tif")
        discs = (write_planes if options.planes else write_scene)(path, options.side)
        before = _peak()
        tiles = {"root": "-", "tile_size": options.tile, "tile_overlap": 128}
        data: SatelliteData | MicroscopyData = SatelliteData.model_validate({"kind": "satellite", **tiles})
        if options.planes:
            limit = {"max_image_pixels": options.side**2, "intensity": None}
            data = MicroscopyData.model_validate({"kind": "microscopy", **tiles, **limit})
        model = Model(
            StandIn(),  # type: ignore[arg-type]  # what is asked of it is there
            torch.device("cpu"),
            GenerateSettings(points_per_side=4, points_per_batch=4),
            PredictSettings(),
        )
        form = "tiff" if options.planes else "geotiff"
        request = Request(path, Path(folder) / "masks", None, (form,), follow=False, overview=False)
        begun = time.monotonic()
        tally = predict(request, model, data, about={"model": "stand-in"}, console=Console(stderr=True))
        seconds = time.monotonic() - begun
        size = (Path(folder) / "masks" / f"{path.stem}.tif").stat().st_size
    print(f"{path.stem:<16} {options.side:,} x {options.side:,} pixels, {discs:,} whole discs")
    print(f"found            {tally.objects:,}")
    print(f"seconds          {seconds:,.0f}")
    print(f"labels           {size / 1e6:,.1f} MB")
    print(f"peak memory      {_peak():,.0f} MB, {before:,.0f} MB before")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
