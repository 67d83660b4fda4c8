"""What one tab of the browser looks at: an image, the prompts so far, and how to answer the next."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.demo.history import Candidates, History, Question
from adapt.demo.models import Image, Models, image_key
from adapt.demo.opening import OpenImage, inputs_of, open_image
from adapt.demo.overlay import Shown, as_uri, mask_png, overlay, overlay_png, picture_uri
from adapt.demo.saving import coco_json
from adapt.errors import DataError
from adapt.frames import logits_to_image_frame
from adapt.predict.inputs import Input
from adapt.recipe import DataSettings

SMALL = 128
"""Longest side of the small pictures of candidates, in pixels."""
LINE = 200
"""The outline is as thick as this part of the longer side: 5 pixels of 1,024."""

View = dict[str, Any]
"""What the page draws; only keys that have changed. See `Tab` for each."""


@dataclass(frozen=True)
class Look:
    """How images are read and shown: settings that read them, and the longer side of what is shown."""

    readers: Sequence[DataSettings]
    shown_pixels: int


@dataclass(frozen=True, eq=False)
class Seen:
    """The part of an image that is looked at."""

    image: OpenImage
    part: int
    pixels: Image
    key: bytes
    shown: Shown


class Tab:
    """One tab; its calls come one after the other, whatever threads they come from.

    Each returns a view: `picture` (of a new part), `encoded`, `prompts`, `answers` (of each model), `seconds`,
    `file`.
    Points of the page are shares of the shown width and height, from 0 to 1.
    """

    def __init__(self, models: Models, look: Look, *, about: Mapping[str, Any]) -> None:
        """Begin with nothing to look at."""
        self._models, self._look, self._about = models, look, about
        self._one_at_a_time = threading.Lock()
        self._open = ExitStack()
        self._seen: Seen | None = None
        self._history = History()

    def open_upload(self, path: Path) -> View:
        """Look at a file that the page has sent; it is removed when it is not looked at any more, or cannot be.

        Raises:
            DataError: it cannot be read; what was looked at before still is.
        """
        with ExitStack() as stack:
            stack.callback(path.unlink, missing_ok=True)
            ((one, settings),) = inputs_of(path, self._look.readers)
            return self._open_in(stack, one, settings)

    def open_input(self, one: Input, settings: DataSettings) -> View:
        """Look at one of the images that are offered.

        Raises:
            DataError: see `open_upload`.
        """
        with ExitStack() as stack:
            return self._open_in(stack, one, settings)

    def close(self) -> None:
        """Let go of the image."""
        with self._one_at_a_time:
            self._open.close()
            self._seen, self._history = None, History()

    def show(self, part: int) -> View:
        """Look at another slice or tile.

        Raises:
            DataError: there is none, or it cannot be read.
        """
        with self._one_at_a_time:
            image = self._now().image
            if not 0 <= part < len(image.parts):
                raise DataError(f"{image.called} {part} is not there; the image has 0 to {len(image.parts) - 1}")
            return self._show(image, part)

    def encode(self) -> View:
        """Encode what is looked at, so that the first click need not wait for it."""
        with self._one_at_a_time:
            begun = time.perf_counter()
            seen = self._now()
            self._models.features(seen.pixels, seen.key)
            return {"encoded": True, "seconds": {"encode": time.perf_counter() - begun}}

    def click(self, x: float, y: float, label: int) -> View:
        """Answer a further click: label 1 adds, 0 takes away.

        Raises:
            DataError: see `History.clicked`.
        """
        with self._one_at_a_time:
            column, row = self._pixel(x, y)
            return self._ask(self._history.clicked(column, row, label))

    def box(self, x0: float, y0: float, x1: float, y1: float) -> View:
        """Answer a box, given by two corners."""
        with self._one_at_a_time:
            (left, top), (right, bottom) = self._pixel(min(x0, x1), min(y0, y1)), self._pixel(max(x0, x1), max(y0, y1))
            return self._ask(self._history.boxed((left, top, right, bottom)))

    def choose(self, model: str, place: int) -> View:
        """Let another candidate count."""
        with self._one_at_a_time:
            self._history = self._history.choosing(model, place)
            return self._view()

    def undo(self) -> View:
        """Take the last prompt back."""
        with self._one_at_a_time:
            self._history = self._history.undone()
            return self._view()

    def clear(self) -> View:
        """Forget all prompts."""
        with self._one_at_a_time:
            self._history = History()
            return self._view()

    def save(self, model: str, kind: str) -> View:
        """The mask of a model that counts as a file for the browser, in the size of the image or slice.

        Args:
            model: its name.
            kind: png, or json for COCO.

        Raises:
            DataError: there is no mask yet.
        """
        with self._one_at_a_time:
            seen, step = self._now(), self._history.last
            if step is None or model not in step.answers:
                raise DataError("there is no mask to save yet; click on the image, or draw a box")
            answer = step.answers[model]
            frame = self._models.segmenters[model].spec.frame(*seen.pixels.shape[:2])
            mask = seen.image.placed((logits_to_image_frame(answer.mask, frame) > 0).numpy(), seen.part)
        image, part = seen.image, seen.image.parts[seen.part]
        place = image.opened.place_of(part.slice)
        if kind == "png":
            uri = as_uri("image/png", mask_png(mask))
        else:
            text = coco_json(
                mask,
                file_name=image.name,
                place=place,
                tile=part.tile,
                step=step,
                score=answer.ious[answer.chosen],
                about={**self._about, "answered_by": model},
            )
            uri = as_uri("application/json", text.encode())
        stem = image.name.split(".")[0] + "".join(f"_{name}{index:03}" for name, index in place.items())
        return {"file": {"name": f"{stem}_{model}.{'png' if kind == 'png' else 'json'}", "uri": uri}}

    def _open_in(self, stack: ExitStack, one: Input, settings: DataSettings) -> View:
        """Open within a stack, which takes the place of the one before if that succeeds."""
        with self._one_at_a_time:
            image = stack.enter_context(open_image(one, settings))
            view = self._show(image, image.first)
            self._open.close()
            self._open = stack.pop_all()
            return view

    def _now(self) -> Seen:
        if self._seen is None:
            raise DataError("there is no image yet; drop one, or pick one")
        return self._seen

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        """A point of the page as column and row of the image: 0 is the centre of the first pixel."""
        height, width = self._now().pixels.shape[:2]
        return min(max(x, 0.0), 1.0) * width - 0.5, min(max(y, 0.0), 1.0) * height - 0.5

    def _show(self, image: OpenImage, part: int) -> View:
        pixels = image.pixels(part)
        height, width = pixels.shape[:2]
        shown = Shown.of(height, width, longest=self._look.shown_pixels)
        uri = picture_uri(pixels, shown)
        self._seen, self._history = Seen(image, part, pixels, image_key(pixels), shown), History()
        picture = {
            "uri": uri,
            "width": shown.width * shown.times,
            "height": shown.height * shown.times,
            "times": shown.times,
            "name": image.name,
            "size": [width, height],
            "part": part,
            "parts": len(image.parts),
            "called": image.called,
        }
        return {"picture": picture, "encoded": False, **self._view()}

    def _ask(self, question: Question) -> View:
        seen = self._now()
        begun = time.perf_counter()
        features = self._models.features(seen.pixels, seen.key)
        encoded = time.perf_counter()
        height, width = seen.pixels.shape[:2]
        answers, decode = self._models.answer(features, question, height=height, width=width)
        self._history = self._history.answered(question.wanted, answers)
        view = self._view()
        beyond = time.perf_counter() - encoded - decode
        return {**view, "encoded": True, "seconds": {"encode": encoded - begun, "decode": decode, "beyond": beyond}}

    def _view(self) -> View:
        """Prompts and answers as they are now."""
        step = self._history.last
        if step is None or self._seen is None:
            return {"prompts": {"clicks": [], "box": None}, "answers": {}, "steps": 0}
        height, width = self._seen.pixels.shape[:2]

        def shares(column: float, row: float) -> tuple[float, float]:
            return (column + 0.5) / width, (row + 0.5) / height

        clicks = [(*shares(x, y), label) for x, y, label in step.wanted.clicks]
        box = None if step.wanted.box is None else (*shares(*step.wanted.box[:2]), *shares(*step.wanted.box[2:]))
        answers = {name: self._drawn(name, answer) for name, answer in step.answers.items()}
        return {"prompts": {"clicks": clicks, "box": box}, "answers": answers, "steps": len(self._history.steps)}

    def _drawn(self, model: str, answer: Candidates) -> View:
        """The chosen candidate at the size of the picture, and all of them small."""
        seen = self._now()
        spec = self._models.segmenters[model].spec
        small = Shown.of(*seen.pixels.shape[:2], longest=SMALL)
        chosen = seen.shown.mask(answer.mask, spec)
        return {
            "chosen": answer.chosen,
            "ious": list(answer.ious),
            "share": float(chosen.mean()),
            "overlay": _uri(chosen, max(max(chosen.shape) // LINE, 1)),
            "small": [_uri(small.preview(logits, spec), 1) for logits in answer.logits],
        }


def _uri(mask: npt.NDArray[np.bool_], thickness: int) -> str:
    return as_uri("image/png", overlay_png(overlay(mask, thickness=thickness)))
