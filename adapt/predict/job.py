"""A prediction from beginning to end: input by input, each finished and recorded before the next begins."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapt.errors import DataError
from adapt.files import write_text
from adapt.generate import Funnel
from adapt.predict.coco_file import join_coco
from adapt.predict.finishing import finish_input
from adapt.predict.inputs import find_inputs
from adapt.predict.naming import NamingModel
from adapt.predict.outputs import COCO as COCO_FORMAT
from adapt.predict.outputs import ENDINGS
from adapt.predict.records import ABOUT, COCO, WORK, claim_output
from adapt.predict.request import Request, check_unprompted, prompts_of
from adapt.predict.segmenting import Model
from adapt.predict.tally import Tally
from adapt.recipe import DataSettings, GenerateSettings
from adapt.runs import claimed
from adapt.wording import counted, listed

NOTHING_FOUND = (
    "of automatic masks lower generate.predicted_iou and generate.stability, of prompts see that they lie on an object"
)


def predict(
    request: Request, model: Model | NamingModel, data: DataSettings, *, about: Mapping[str, Any], console: Console
) -> Tally:
    """Segment all inputs of a request that are not finished yet.

    An input that cannot be used does not stop the others.

    Args:
        request: see `Request`.
        model: see `Model`, `NamingModel`.
        data: of the recipe: how inputs are read.
        about: the model, for the records; what it says decides whether a finished input is finished still.
        console: for progress and notices.

    Raises:
        DataError: nothing to segment, prompts that cannot be read or are of no input; or, when the others are
            done, inputs that could not be used (the first are listed).
        RunError: the output folder is not ours, or cannot be written, or another process works in it.
    """
    inputs = find_inputs(request.source, data)
    classes = isinstance(model, Model) and bool(model.segmenter.classes)
    if classes:
        check_unprompted(request)
    wanted = prompts_of(request, inputs)
    claim_output(request.output)
    with claimed(request.output):
        write_text(request.output / ABOUT, json.dumps(dict(about), indent=1) + "\n")
        tally, written = Tally(), []
        with _progress(console, total=len(inputs)) as advance:
            for one in inputs:
                own = None if wanted is None else wanted.get(one.name)
                if wanted is not None and own is None:
                    if model.predict.without_prompts == "skip":
                        tally.skipped += 1
                        advance(1, None)
                        continue
                    if model.predict.without_prompts == "empty":
                        own = []
                try:
                    written += finish_input(request, model, data, one, own, about=about, tally=tally, advance=advance)
                except DataError as error:
                    tally.failed.append(str(error))
                    console.print(f"[yellow]failed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
                advance(1, None)
        parts = [path for path in written if path.suffix == ENDINGS[COCO_FORMAT]]
        if len(parts) > 1:
            join_coco(request.output / COCO, parts)
        if not tally.failed:
            shutil.rmtree(request.output / WORK, ignore_errors=True)
    if tally.empty and not classes:
        advice = _why_nothing(tally.funnel, model.generate) if model.text is None else model.text.advice
        told = f"{counted(tally.empty, 'input')} without an object: {advice}"
        console.print(f"[yellow]notice:[/] {escape(told)}", highlight=False, soft_wrap=True)
    if tally.failed:
        raise DataError(f"{tally}: {listed(tally.failed)}")
    return tally


def _why_nothing(funnel: Funnel, settings: GenerateSettings) -> str:
    """Which threshold has taken all automatic candidates of inputs without an object, or what else it may be."""
    if funnel.candidates and not funnel.kept:
        return funnel.why_nothing(settings)
    return NOTHING_FOUND


@contextmanager
def _progress(console: Console, *, total: int) -> Iterator[Callable[[float, str | None], None]]:
    """From inputs done, and how far the present one is, to a bar."""
    columns = (
        TextColumn("segmenting"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[part]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total, part="")

        def advance(inputs: float, part: str | None) -> None:
            progress.update(task, advance=inputs, part="" if part is None else f"tile or slice {part}")

        yield advance
