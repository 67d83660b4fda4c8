"""How fast samples come: out of the sources, out of the prepared store, and out of the data loader.

    python benchmarks/data.py [--recipe medical_mr data.root=scans]     rates, side by side
    python benchmarks/data.py --large ct | geotiff                      memory while a large file is prepared

Without a recipe, the generated data of every domain is measured. `in order` reads each case once and takes its samples
one after the other, as preparing does; `at random` reads the case of a sample for each sample in random order, as
training without a store would. Each is read of the sources and of the store, in the same order, in turns, and is the
median of five passes or more; seconds are those that this process works, as what else the machine does would count for
the longer passes alone. The loader's are those of the clock. What bounds the store: for small images the fixed cost of
a row (Arrow's columns, checks), for large ones copying the image and clearing the masks, which is the speed of memory.
Nearest to the sources comes a volume of many tiny slices that is decoded in one go: see docs/adr/0005.
"""

import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count, islice
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from adapt import build
from adapt.datamodules import Source, Store
from adapt.datamodules.epoch_sampler import EpochSampler
from adapt.recipe import Recipe, find_recipe, load_recipe

GENERATED = {
    "quickstart": "adapt:ct_phantom",
    "satellite_buildings": "adapt:satellite_scenes",
    "microscopy_nuclei": "adapt:nuclei",
    "folder": "adapt:shapes_folder",
    "coco": "adapt:shapes_coco",
    "yolo": "adapt:shapes_yolo",
    "hub_dataset": "adapt:shapes_hub",
    "pretrain_tiny": "adapt:synthetic",
}
LARGE_SIDE, LARGE_SLICES = 20_000, 512
COLUMNS = (
    *("recipe", "samples", "prepared", "sources in order", "store", "sources at random", "store"),
    *("loader", "2 workers", "ratio in order", "at random"),
)
PASSES, SECONDS, SAMPLES = 5, 3.0, 20
LIMITS = {"ct": 2000, "geotiff": 1500}
"""MiB that preparing may take."""


def rates(*works: Callable[[], int], clock: Callable[[], float]) -> list[float]:
    """Items a second of each work: median of some passes, which take turns, as a shared machine is never the same."""
    found: list[list[float]] = [[] for _ in works]
    begun = time.perf_counter()
    while len(found[0]) < PASSES or time.perf_counter() - begun < SECONDS:
        for passes, work in zip(found, works, strict=True):
            start = clock()
            count = work()
            passes.append(count / (clock() - start))
    return [statistics.median(passes) for passes in found]


def read_sources(source: Source) -> int:
    """Read every case; how many samples there are."""
    return sum(1 for read in source.cases for _ in read().samples)


def read_at_random(source: Source, order: list[int], case_of: list[int]) -> int:
    """Read the case of each sample until the sample comes."""
    for row in order:
        case = source.cases[case_of[row]]()
        next(islice(case.samples, row - case_of.index(case_of[row]), None))
        case.samples = ()  # the rest is let go at once, and with it the file
    return len(order)


def read_store(store: Store, order: Sequence[int]) -> int:
    """Read samples of the store."""
    for row in order:
        store.sample(row)
    return len(order)


def measure(name: str, overrides: list[str], folder: Path, console: Console) -> list[str]:
    """One row of the table."""
    recipe = load_recipe(find_recipe(name), [f"cache={folder}", *overrides])
    source = build.make_source(recipe.data, folder)
    case_of = [number for number, read in enumerate(source.cases) for _ in read().samples]
    order = random.Random(0).sample(range(len(case_of)), min(SAMPLES, len(case_of)))
    begun = time.perf_counter()
    store = build.make_store(recipe, console)
    prepared = len(store.rows) / (time.perf_counter() - begun)
    rows = range(len(case_of))
    in_order = rates(lambda: read_sources(source), lambda: read_store(store, rows), clock=time.process_time)
    at_random = rates(
        lambda: read_at_random(source, order, case_of), lambda: read_store(store, order), clock=time.process_time
    )
    loaders = [loader_rate(recipe, store, workers=workers) for workers in (0, 2)]
    height, width = store.rows[0]["height"], store.rows[0]["width"]
    objects = store.facts.objects / store.facts.samples
    return [
        name,
        f"{len(store.rows)} of {height} x {width}, {objects:.0f} objects",
        *(f"{figure:,.0f}" for figure in (prepared, *in_order, *at_random, *loaders)),
        *(f"{stored / read:.1f}" for read, stored in (in_order, at_random)),
    ]


def loader_rate(recipe: Recipe, store: Store, *, workers: int) -> float:
    """Samples a second out of the training loader: augmented, in the model frame, in batches."""
    recipe = recipe.model_copy(update={"trainer": recipe.trainer.model_copy(update={"workers": workers})})
    splits = build.make_splits(recipe, store, Console(quiet=True))
    spec = build.make_segmenter(recipe).spec
    loader = build.make_data(recipe, store, splits, spec, build.pick_device(recipe)).train_dataloader()
    sampler, epochs = loader.sampler, count(1)  # not the first epoch: synthetic images are drawn anew after it
    assert isinstance(sampler, EpochSampler)

    def epoch() -> int:
        sampler.set_epoch(next(epochs))
        return sum(len(batch.sample_ids) for batch in loader)

    epoch()  # the workers start
    return rates(epoch, clock=time.perf_counter)[0]


def write_large_ct(folder: Path) -> list[str]:
    """A 512 x 512 x 512 CT with a label; the recipe and overrides that read it."""
    import nibabel

    affine = np.diag([0.7, 0.7, 1.0, 1.0])
    generator = np.random.default_rng(0)
    x, y = np.meshgrid(*(np.linspace(-1, 1, 512, dtype=np.float32),) * 2, indexing="ij")
    image = np.empty((512, 512, LARGE_SLICES), np.int16)
    label = np.zeros(image.shape, np.uint8)
    for z in range(LARGE_SLICES):
        image[..., z] = np.where(x**2 + y**2 < 0.8, 40, -1000) + generator.integers(-20, 20, x.shape)
        label[..., z][(x - 0.3) ** 2 + y**2 < 0.05] = 1
    for kind, values in (("images", image), ("labels", label)):
        (folder / kind).mkdir()
        nibabel.save(nibabel.Nifti1Image(values, affine), folder / kind / "large.nii.gz")
    return ["medical_ct", f"data.root={folder}", "data.labels={liver: 1}"]


def write_large_geotiff(folder: Path) -> list[str]:
    """A 20,000 x 20,000 scene of three bands with 10,000 footprints; the recipe and overrides that read it."""
    import rasterio
    import shapely
    from pyogrio.raw import write
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    transform = from_origin(500_000, 4_000_000, 0.3, 0.3)
    options = {"driver": "GTiff", "tiled": True, "compress": "deflate", "zlevel": 1, "crs": "EPSG:32633"}
    generator = np.random.default_rng(0)
    with rasterio.open(
        folder / "images" / "large.tif",
        "w",
        width=LARGE_SIDE,
        height=LARGE_SIDE,
        count=3,
        dtype="uint8",
        transform=transform,
        **options,
    ) as scene:
        for top in range(0, LARGE_SIDE, 1000):
            strip = generator.integers(0, 256, (3, 1000, LARGE_SIDE // 8), dtype=np.uint8).repeat(8, axis=2)
            scene.write(strip, window=Window(0, top, LARGE_SIDE, 1000))
    corners = generator.uniform(0, (LARGE_SIDE - 60) * 0.3, (10_000, 2))
    sides = generator.uniform(5, 18, (10_000, 2))
    left, bottom = 500_000 + corners[:, 0], 4_000_000 - corners[:, 1] - sides[:, 1]
    footprints = shapely.box(left, bottom, left + sides[:, 0], bottom + sides[:, 1])
    write(
        folder / "labels" / "footprints.gpkg",
        shapely.to_wkb(footprints),
        [np.arange(len(footprints))],
        ["number"],
        geometry_type="Polygon",
        crs="EPSG:32633",
    )
    return ["satellite_buildings", f"data.root={folder}", "data.split_by=block", "data.block_size=2048"]


def prepare_here(arguments: list[str]) -> None:
    """In a process of its own: prepare, print samples, seconds and the most memory ever held."""
    recipe = load_recipe(find_recipe(arguments[0]), ["trainer.workers=0", *arguments[1:]])
    begun = time.perf_counter()
    store = build.make_store(recipe, Console())
    seconds = time.perf_counter() - begun
    # not `ru_maxrss`: it keeps what the process that started this one had
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
    print(f"{len(store.rows)} samples in {seconds:.1f} s, peak resident memory {peak:.0f} MiB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", help="measure this one alone")
    parser.add_argument("--large", choices=sorted(LIMITS))
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    if options.prepare:
        prepare_here(options.overrides)
        return
    console = Console(width=max(Console().width, 140))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.large:
            (folder / "data").mkdir()
            write = {"ct": write_large_ct, "geotiff": write_large_geotiff}[options.large]
            arguments = [*write(folder / "data"), f"cache={folder / 'cache'}"]
            subprocess.run([sys.executable, __file__, "--prepare", *arguments], check=True)
            console.print(f"limit {LIMITS[options.large]} MiB")
            return
        table = Table(title="Samples a second")
        for column in COLUMNS:
            table.add_column(column, justify="left" if column in COLUMNS[:2] else "right")
        chosen = {options.recipe: ""} if options.recipe else GENERATED
        for name, root in chosen.items():
            overrides = options.overrides if options.recipe else [f"data.root={root}"]
            table.add_row(*measure(name, overrides, folder, console))
        console.print(table)
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
