"""The table of a propagation: Dice of each structure in all slices or frames, by model and kind of prompt."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from adapt.files import write_text
from adapt.predict.volume_dice import PROMPTS, VolumeDice, mean_dice


def print_dice(scores: Sequence[VolumeDice], console: Console, *, named: str) -> None:
    """A row a structure and kind of prompt: Dice of the whole object and in the prompted slice, by model.

    Args:
        scores: of all objects.
        console: that the table goes to.
        named: what a slice is called: slice, or frame of a time series.
    """
    means = mean_dice(scores)
    models = list(dict.fromkeys(score.model for score in scores))
    whole = "3D" if named == "slice" else f"all {named}s"
    table = Table("structure", "prompt", "objects", title=f"Dice from one prompt on the middle {named}")
    for model in models:
        table.add_column(f"{model}, {whole}", justify="right")
        table.add_column(f"its {named}", justify="right")
    for structure in sorted({score.structure for score in scores}):
        for prompt in PROMPTS:
            own = [means[structure, prompt, model] for model in models]
            cells = [text for dice, middle, _ in own for text in (f"{dice:.3f}", f"{middle:.3f}")]
            table.add_row(structure, prompt, str(own[0][2]), *cells)
    console.print(table)


def write_dice(path: Path, scores: Sequence[VolumeDice]) -> None:
    """A CSV file with a row an object, model and kind of prompt."""
    memory = io.StringIO(newline="")
    writer = csv.DictWriter(memory, [field.name for field in fields(VolumeDice)])
    writer.writeheader()
    writer.writerows(asdict(score) for score in scores)
    write_text(path, memory.getvalue())
