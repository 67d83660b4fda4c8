"""`--auto-batch`: the largest batch that fits into memory, found by training steps on a copy of the model."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from rich.console import Console
from torch import Tensor

from adapt.build import make_task
from adapt.errors import RunError
from adapt.features import DTYPES, at_once, in_parts
from adapt.losses import mean_over_objects
from adapt.memory import free_bytes, held_bytes, is_out_of_memory, peak_bytes, reset_peak, what_to_lower
from adapt.recipe import Recipe
from adapt.samples import Batch, Cached
from adapt.segmenters import PromptableSegmenter, encoder_trains, freeze_boundary

USED_SHARE = 0.85
"""Of the memory that is free: steps differ, and validation, loading and fragments need some too."""


def largest_that_fits(fits: Callable[[int], bool], *, most: int) -> int:
    """The largest number from 1 to `most` that fits, 0 if none does: doubled until one does not, then bisected."""
    low, high = 0, most + 1
    tried = 1
    while low + 1 < high:
        if fits(tried):
            low = tried
        else:
            high = tried
        tried = min(2 * low, most) if high > most else (low + high) // 2
    return low


class Trial:
    """Real training steps of a recipe, on images that mean nothing.

    Attributes:
        segmenter: the copy that they train.
    """

    def __init__(
        self, recipe: Recipe, segmenter: PromptableSegmenter, *, objects: int, device: torch.device, cached: bool
    ) -> None:
        """Of images with so many objects each, whose frozen features a cache has, or has not."""
        self._boundary = freeze_boundary(segmenter.stages) if cached else 0
        self._recipe, self._objects, self._device = recipe, objects, device
        self.segmenter = copy.deepcopy(segmenter)
        self._task = make_task(recipe, self.segmenter, steps_per_epoch=1).to(device)
        self._task.on_fit_start()
        self._optimizer = self._task.configure_optimizers()["optimizer"]
        self._average: list[Tensor] = []
        if recipe.optimizer.ema:
            self._average = [p.detach().clone() for p in self._task.parameters() if p.requires_grad]

    def peak(self, images: int) -> int:
        """Bytes held at most in a step on so many images, on the device."""
        reset_peak(self._device)
        side, classes, frames = self.segmenter.spec.image_size, self.segmenter.classes, self._recipe.clips.length
        batch = crowded_batch(side, images=images * frames, objects=self._objects, category=(*classes, "")[0])
        if self._boundary:  # the first epoch fills the cache, the others read it
            few = batch.images[: at_once(self._device)].to(self._device)
            with self._halved():
                in_parts(self.segmenter, few, boundary=self._boundary)
            shapes = self.segmenter.stages[self._boundary - 1].shapes
            batch = with_features(batch, shapes, DTYPES[self._recipe.features.dtype])
        self.step(replace(batch, frames=frames))
        return peak_bytes(self._device)

    def step(self, batch: Batch) -> None:
        """Encode, decode, backward, clip and move the weights of the copy."""
        with self._halved():
            losses, valid = self._task.losses(batch.to(self._device), step=0)
            loss = mean_over_objects(losses.total, valid)
        loss.backward()
        self._task.configure_gradient_clipping(self._optimizer, self._recipe.trainer.gradient_clip)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _halved(self) -> torch.autocast:
        mixed = self._recipe.trainer.precision == "bf16-mixed"
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=mixed, cache_enabled=False)


def crowded_batch(side: int, *, images: int, objects: int, category: str = "") -> Batch:
    """Images of noise with as many objects each as there may be, of one category."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(images, objects, side, side, dtype=torch.bool)
    masks[..., side // 4 : side // 2, side // 4 : side // 2] = True
    return Batch(
        images=torch.randn(images, 3, side, side, generator=generator),
        extents=torch.full((images, 2), float(side)),
        masks=masks,
        object_valid=torch.ones(images, objects, dtype=torch.bool),
        sample_keys=torch.arange(images),
        categories=((category,) * objects,) * images,
        groups=("",) * images,
        sample_ids=tuple(str(number) for number in range(images)),
        spacings=torch.ones(images, 2),
    )


def with_features(batch: Batch, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype) -> Batch:
    """The batch with features of noise, of these shapes an image, in place of its images."""
    count = len(batch.images)
    hidden = tuple(torch.randn(count, *shape).to(dtype) for shape in shapes)
    known = Cached(keys=batch.sample_ids, found=torch.ones(count, dtype=torch.bool), hidden=hidden)
    return replace(batch, images=batch.images[:0], cached=known)


def find_batch_size(
    recipe: Recipe,
    segmenter: PromptableSegmenter,
    *,
    images: int,
    objects: int,
    device: torch.device,
    cached: bool,
    console: Console,
) -> int:
    """The largest batch with which a training step fits into the memory that is free; leaves no trace.

    On a GPU a size is tried until its memory is full. On a CPU the system would end the process, so a size is tried
    only if the sizes before it let expect that it fits: memory grows by as much with each image.

    Args:
        recipe: of the run.
        segmenter: its trainable parameters are chosen; it stays as it is.
        images: of the training split; a larger batch would never be filled.
        objects: the most that an image has.
        device: to train on.
        cached: the run will keep what is frozen of the encoder; see `adapt.features`.
        console: for a line a size.

    Raises:
        RunError: not even one image fits, or memory cannot be measured here.
    """
    limit = held_bytes(device) + int(USED_SHARE * free_bytes(device))
    objects = min(objects, recipe.trainer.objects_per_image)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        trial = Trial(recipe, segmenter, objects=objects, device=device, cached=cached)
        found = _search(trial, limit, images, device, console)
    if not found:
        single = recipe.model_copy(update={"trainer": recipe.trainer.model_copy(update={"batch_size": 1})})
        advice = what_to_lower(single, image_size=segmenter.spec.image_size, encoder_trains=encoder_trains(segmenter))
        raise RunError(f"not even a batch of one image fits into {_gb(limit)}. What helps: {'; '.join(advice)}")
    whole = ", the whole training split" if found == images else ""
    said = f"auto-batch: trainer.batch_size={found}{whole} (the recipe says {recipe.trainer.batch_size})"
    console.print(said, highlight=False, soft_wrap=True)
    return found


def _search(trial: Trial, limit: int, most: int, device: torch.device, console: Console) -> int:
    """The largest batch of a trial whose peak stays below `limit` bytes; 0 if none does."""
    peaks: dict[int, int] = {}

    def fits(size: int) -> bool:
        expected = expected_peak(peaks, size)
        if device.type == "cpu" and expected > limit:
            console.print(f"auto-batch: {size}: would need {_gb(expected)} of {_gb(limit)}", highlight=False)
            return False
        try:
            peaks[size] = trial.peak(size)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            console.print(f"auto-batch: {size}: more than there is", highlight=False)
            return False
        console.print(f"auto-batch: {size}: {_gb(peaks[size])} of {_gb(limit)}", highlight=False)
        return peaks[size] <= limit

    return largest_that_fits(fits, most=most)


def expected_peak(peaks: dict[int, int], size: int) -> int:
    """Bytes at another size, from the two largest sizes below it whose peaks are known; 0 if there are not two."""
    known = sorted(other for other in peaks if other < size)[-2:]
    if len(known) < 2:
        return 0
    small, large = known
    return peaks[large] + (peaks[large] - peaks[small]) * (size - large) // (large - small)


def _gb(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
