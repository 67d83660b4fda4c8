"""Every way to tune on the same data: what it is worth, what trains, how long it takes, and what it needs and keeps.

    python benchmarks/modes.py RECIPE [key=value ...] [--modes lora full ...] [--jobs 2] [--work FOLDER]

Runs `adapt fit --recipe RECIPE` once for each mode, each with its own defaults, in one process each (no workers). Each
is compared with the first, the mask decoder alone, on the same test objects, paired by group, with its 95 % interval.
CPU is the time of the process over all threads, from start to end: imports, training, and the evaluation of both
models; beside other work it says more than the clock. Memory is the process at its peak. Kept is what there is to load
again: the model, or the adapter.

A run keeps its best epoch by the validation split, and modes may keep different ones: with `split.validation=0` each
keeps its last. What is done in `--work` is not done again, so the same command goes on where it was stopped, and other
`--modes` add to the table; other values are refused there. The table is Markdown, and lies in `table.md` there as well.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from adapt.evaluate.results import Difference
from adapt.evaluate.side_by_side import Run, compare_runs, read_runs
from adapt.evaluate.tables import interval_text
from adapt.files import write_text

PROTOCOLS = ("one_click", "box")
FIRST, RECORD = "decoder", "cost.json"
MODES = {
    FIRST: ["tuning.mode=decoder"],
    "lora": ["tuning.mode=lora"],
    "lora, last half": ["tuning.mode=lora", "tuning.blocks=half"],
    "adapter (Medical SAM)": ["tuning.mode=adapter"],
    "adapter, last half": ["tuning.mode=adapter", "tuning.blocks=half"],
    "adapter, AdaptFormer": ["tuning.mode=adapter", "tuning.kind=adaptformer"],
    "adapter, SAM-Med2D": ["tuning.mode=adapter", "tuning.kind=sam_med2d"],
    "scale_shift": ["tuning.mode=scale_shift"],
    "norm": ["tuning.mode=norm"],
    "ia3": ["tuning.mode=ia3"],
    "loha": ["tuning.mode=loha"],
    "oft": ["tuning.mode=oft"],
    "vera": ["tuning.mode=vera"],
    "full": ["tuning.mode=full"],
}
QUICK = [
    "trainer.workers=0",
    f"evaluation.protocols=[{','.join(PROTOCOLS)}]",
    "evaluation.following_images=0",
    "evaluation.retention.images=0",
    "evaluation.automatic.images=0",
]
"""Of all runs: what the table says nothing of is left out."""


@dataclass(frozen=True)
class Cost:
    """A finished run, and what its process took.

    Attributes:
        folder: of the run.
        cpu: seconds, over all threads.
        memory: bytes at the peak.
        values: the recipe, and what was set over it.
    """

    folder: str
    cpu: float
    memory: int
    values: list[str]


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of all runs")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), metavar="MODE", help="all by default")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, which share the cores")
    parser.add_argument("--work", type=Path, default=Path("modes"), help="receives everything; goes on in it")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    asked = {FIRST, *options.modes}
    names = [name for name in MODES if name in asked or (place_of(name, options.work) / RECORD).is_file()]

    def costs(name: str) -> Cost:
        return run_mode(options.recipe, [*QUICK, *options.overrides], name, work=options.work)

    with ThreadPoolExecutor(options.jobs) as pool:
        found = dict(zip(names, pool.map(costs, names), strict=True))
    write_text(options.work / "table.md", table(found))
    print(table(found))


def place_of(name: str, work: Path) -> Path:
    """The folder of a mode."""
    return work / re.sub(r"\W+", "_", name).strip("_")


def run_mode(recipe: str, overrides: Sequence[str], name: str, *, work: Path) -> Cost:
    """Run a mode in a folder of its own, unless it is done."""
    place = place_of(name, work)
    record, values = place / RECORD, [recipe, *overrides]
    if record.is_file():
        cost = Cost(**json.loads(record.read_text(encoding="utf-8")))
        if cost.values != values:
            raise SystemExit(f"{place} was run with {' '.join(cost.values)}; take another --work")
        return cost
    place.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "adapt", "fit", "--recipe", recipe, *overrides, *MODES[name]]
    command += [f"output={place}", f"cache={place / 'cache'}"]  # none reads features that another one has kept
    with (place / "output.txt").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    shutil.rmtree(place / "cache", ignore_errors=True)
    if status:
        raise SystemExit(f"{name}: fit failed, see {place / 'output.txt'}")
    folder = max(path.parent for path in place.glob("*/*/results.json"))
    cost = Cost(folder=str(folder), cpu=used.ru_utime + used.ru_stime, memory=1024 * used.ru_maxrss, values=values)
    write_text(record, json.dumps(asdict(cost)))
    return cost


def table(costs: dict[str, Cost]) -> str:
    """Markdown: the untouched model, then a row a mode."""
    results = {
        name: json.loads((Path(cost.folder) / "results.json").read_text("utf-8")) for name, cost in costs.items()
    }
    base = {name: protocol["base"] for name, protocol in results[FIRST]["protocols"].items()}
    runs = read_runs([Path(cost.folder) for cost in costs.values()]) if len(costs) > 1 else []
    lines = [
        "| mode | what trains | one click | less decoder | box | less decoder | CPU, min | memory, MiB | kept, MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        f"| untouched | 0 | {' | | '.join(_with_interval(base[protocol]) for protocol in PROTOCOLS)} | | | | |",
    ]
    for name, cost in costs.items():
        tuned = {protocol: figures["tuned"] for protocol, figures in results[name]["protocols"].items()}
        gains = {} if name == FIRST else less_first(runs, cost.folder)
        cells = [re.sub(r"^\w+", r"`\g<0>`", name), f"{results[name]['training']['trainable_parameters']:,}"]
        for protocol in PROTOCOLS:
            cells += [_with_interval(tuned[protocol]), _gain(gains.get(protocol))]
        cells += [f"{cost.cpu / 60:.1f}", f"{cost.memory / 2**20:,.0f}", f"{kept(Path(cost.folder)) / 1e6:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    first = results[FIRST]
    box = first["protocols"]["box"]["box_as_mask"]
    lines += ["", f"{first['objects']:,} objects in {first['groups']} groups; the box itself {box:.3f}."]
    return "\n".join(lines) + "\n"


def less_first(runs: Sequence[Run], folder: str) -> dict[str, Difference | None]:
    """How much better a run is than the first, under each protocol."""
    pair = [runs[0], next(run for run in runs if run.name == folder)]
    compared = compare_runs(pair, only_common=False, bootstrap_samples=10_000, seed=0)
    return {name: entries[1].difference for name, entries in compared.protocols.items()}


def kept(folder: Path) -> int:
    """Bytes of the model, or of the adapter, that a run leaves."""
    left = folder / "adapter" if (folder / "adapter").is_dir() else folder / "model"
    return sum(path.stat().st_size for path in left.rglob("*") if path.is_file())


def _with_interval(figures: Mapping[str, float | None]) -> str:
    between = interval_text(figures["low"], figures["high"])
    return f"{figures['miou']:.3f} ({between})"


def _gain(difference: Difference | None) -> str:
    if difference is None:
        return ""
    return f"{difference.miou:+.3f} ({interval_text(difference.low, difference.high, signed=True)})"


if __name__ == "__main__":
    main()
