"""The models that are looked at side by side; an image is encoded once, whatever is asked of it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import torch

from adapt.demo.history import Candidates, Question
from adapt.evaluate import shared_stages
from adapt.predict.asking import prompts_of
from adapt.segmenters import ImageFeatures, PromptableSegmenter

Image = npt.NDArray[np.uint8]
Features = Mapping[str, ImageFeatures]


def image_key(image: Image) -> bytes:
    """The same for the same pixels, and for no others."""
    return blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()


class Models:
    """Segmenters by name, and the features of the images that were looked at last. Threads may share it."""

    def __init__(self, segmenters: Mapping[str, PromptableSegmenter], device: torch.device, *, kept: int) -> None:
        """Keep features of `kept` images at most; the segmenters are on `device`, in eval mode."""
        self.segmenters, self.device, self._most = dict(segmenters), device, kept
        self._shared = shared_stages(list(self.segmenters.values()))
        self._kept: OrderedDict[bytes, Features] = OrderedDict()
        self._looking, self._encoding = threading.Lock(), threading.Lock()

    def features(self, image: Image, key: bytes) -> Features:
        """Of an image (H, W, 3) uint8, by each model; stages that the encoders have in common run once.

        Only one image is encoded at a time; who asks for another that is known does not wait for it.

        Args:
            image: as the models are to see it.
            key: see `image_key`.
        """
        found = self._known(key)
        if found is not None:
            return found
        with self._encoding:
            found = self._known(key)
            if found is None:
                found = self._encode(image)
                with self._looking:
                    self._kept[key] = found
                    while len(self._kept) > self._most:
                        self._kept.popitem(last=False)
        return found

    def _known(self, key: bytes) -> Features | None:
        with self._looking:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    @torch.inference_mode()
    def _encode(self, image: Image) -> Features:
        if not self._shared:
            return {
                name: segmenter.encode(segmenter.spec.to_model_frame(image)[None].to(self.device))
                for name, segmenter in self.segmenters.items()
            }
        first = next(iter(self.segmenters.values()))
        pixels = first.spec.to_model_frame(image)[None].to(self.device)
        hidden = first.encode_prefix(pixels, boundary=self._shared)
        return {name: one.encode_suffix(hidden, boundary=self._shared) for name, one in self.segmenters.items()}

    @torch.inference_mode()
    def answer(
        self, features: Features, question: Question, *, height: int, width: int
    ) -> tuple[dict[str, Candidates], float]:
        """What each model answers, the candidate of highest predicted IoU chosen; and the seconds of decoding.

        A single click gets several candidates, everything else one mask, as in `adapt.predict` and in evaluation.

        Args:
            features: of the image.
            question: see `Question`.
            height: of the image.
            width: of the image.
        """
        answers, seconds = {}, 0.0
        for name, segmenter in self.segmenters.items():
            prompts = prompts_of([question.wanted], segmenter.spec.frame(height, width), self.device)
            if name in question.seen:
                prompts = replace(prompts, masks=question.seen[name][None, None, None].to(self.device))
            multimask = len(question.wanted.clicks) == 1 and question.wanted.box is None and not question.seen
            begun = time.perf_counter()
            predictions = segmenter.decode(features[name], prompts, multimask=multimask)
            logits, ious = predictions.logits[0, 0].float().cpu(), predictions.iou[0, 0].float().tolist()
            seconds += time.perf_counter() - begun
            answers[name] = Candidates(logits, tuple(ious), int(np.argmax(ious)))
        return answers, seconds
