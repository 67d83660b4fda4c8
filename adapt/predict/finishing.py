"""One input from its file to masks, record and picture."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adapt.errors import DataError
from adapt.files import make_folder, write_file
from adapt.predict.inputs import Input
from adapt.predict.naming import NamingModel
from adapt.predict.opening import open_input
from adapt.predict.outputs import COCO as COCO_FORMAT
from adapt.predict.outputs import ENDINGS, TIFF, Output, check_format, usual_format, write_output
from adapt.predict.overview import draw_overview
from adapt.predict.prompted import PromptedObject, inside
from adapt.predict.records import OVERVIEW, WORK, input_key, is_done, object_rows, read_record, write_record
from adapt.predict.request import Request
from adapt.predict.segmenting import Model, Segmentation
from adapt.predict.tally import Tally
from adapt.predict.text_boxes import TextBoxes, boxes_in
from adapt.predict.ways import segment_input
from adapt.recipe import DataSettings, MedicalData


def finish_input(
    request: Request,
    model: Model | NamingModel,
    data: DataSettings,
    one: Input,
    wanted: Sequence[PromptedObject] | None,
    *,
    about: Mapping[str, Any],
    tally: Tally,
    advance: Callable[[float, str | None], None],
) -> list[Path]:
    """Segment, write and record an input, unless that is done; the files of its masks."""
    settings = {
        "model": dict(about),
        "data": data.model_dump(mode="json", exclude={"root"}),
        "generate": model.generate.model_dump(mode="json"),
        "predict": model.predict.model_dump(mode="json"),
        **{"formats": list(request.formats), "follow": request.follow, "overview": request.overview},
        **({} if model.text is None else {"text": dict(model.text.about)}),
    }
    try:
        key = input_key(one, wanted, settings)
    except OSError as error:
        raise DataError(f"{one.path}: cannot be read ({error.strerror or error}); copy it again") from None
    record = read_record(request.output, one.name)
    if is_done(record, key, request.output):
        tally.done_before += 1
        return [request.output / name for name in record["files"] if not name.startswith(OVERVIEW)]
    with open_input(one, data) as opened:
        formats = request.formats or (usual_format(opened, one.path),)
        if isinstance(model, Model) and model.segmenter.classes and formats == (COCO_FORMAT,):
            formats = (TIFF,)
        for name in formats:
            check_format(name, opened, one.path)
        if isinstance(model.text, TextBoxes):
            wanted = boxes_in(opened, model.text)
        if wanted is not None:
            wanted = inside(
                wanted,
                height=opened.height,
                width=opened.width,
                slices=opened.slices,
                series=opened.series,
                named=opened.slice_name,
            )
        work = request.output / WORK / key[:16]
        found = segment_input(model, opened, wanted, follow=request.follow, work=work, advance=partial(advance, 0))
        output = Output(
            name=one.path.name,
            opened=opened,
            found=found,
            values=_values(data, found),
            category=getattr(data, "category", "object"),
            about={**about, "input": str(one.path)},
        )
        files = [_path_of(request.output, one.name, name, formats) for name in formats]
        for name, path in zip(formats, files, strict=True):
            write_output(name, path, output)
        rows = object_rows(opened, found, category=output.category)
        more = []
        if request.overview:
            more = [request.output / OVERVIEW / f"{one.name}.png"]
            make_folder(more[0].parent, then="or give --output another folder")
            picture = draw_overview(opened, found)
            write_file(more[0], lambda file: file.write(picture))
    write_record(request.output, one.name, key=key, about=output.about, files=[*files, *more], objects=rows)
    shutil.rmtree(work, ignore_errors=True)
    visible = sum(1 for row in rows if row["pixels"])
    tally.inputs += 1
    tally.objects += visible
    if not visible:
        tally.empty += 1
        tally.funnel += found.funnel
    return files


def _values(data: DataSettings, found: Segmentation) -> Mapping[str, int]:
    """Label values of the recipe's structures, if every object of a volume is called as one of them."""
    named = data.labels if isinstance(data, MedicalData) else {}
    categories = {one.category for one in found.objects}
    return {name: named[name] for name in sorted(categories)} if categories and categories <= set(named) else {}


def _path_of(output: Path, name: str, format_name: str, formats: Sequence[str]) -> Path:
    """Where a format is written; two of one ending have the format in their names."""
    ending = ENDINGS[format_name]
    alone = sum(ENDINGS[other] == ending for other in formats) == 1
    return output / f"{name}{'' if alone else f'_{format_name}'}{ending}"
