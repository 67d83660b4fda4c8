"""The encoder runs once an image and model, whoever asks, and little is kept."""

import copy
import threading
import time

import numpy as np
import pytest
import torch
from exact_segmenter import SIDE, ExactSegmenter
from small_families import small_segmenter

from adapt.demo.history import Question
from adapt.demo.models import Models, image_key
from adapt.predict.asking import ask, encode
from adapt.predict.prompted import PromptedObject
from adapt.segmenters import ImageFeatures, load_segmenter

CPU = torch.device("cpu")


def image(value: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), value, dtype=np.uint8)


def ask_features(models: Models, value: int) -> None:
    models.features(image(value), image_key(image(value)))


def test_an_image_is_encoded_once_and_the_one_not_seen_for_longest_goes() -> None:
    segmenter = ExactSegmenter()
    models = Models({"untouched": segmenter}, CPU, kept=2)
    for value, encoded in ((1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)):
        ask_features(models, value)
        assert segmenter.encoded == encoded


def test_threads_that_ask_for_one_image_at_once_encode_it_once() -> None:
    class Slow(ExactSegmenter):
        def encode(self, images: torch.Tensor) -> ImageFeatures:
            time.sleep(0.05)
            return super().encode(images)

    segmenter = Slow()
    models = Models({"untouched": segmenter}, CPU, kept=2)
    threads = [threading.Thread(target=ask_features, args=(models, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert segmenter.encoded == 1


def test_keys_tell_images_of_other_shapes_apart() -> None:
    wide = np.zeros((2, 8, 3), dtype=np.uint8)
    assert image_key(wide) != image_key(wide.reshape(8, 2, 3)) and image_key(wide) == image_key(wide.copy())


@pytest.mark.parametrize("family", ["SAM", "SAM 2", "SAM-HQ"])
def test_models_with_one_encoder_run_it_once_and_answer_as_alone(family: str) -> None:
    untouched, tuned = copy.deepcopy(small_segmenter(family)), copy.deepcopy(small_segmenter(family))
    with torch.no_grad():
        for parameter in tuned.mask_decoder.parameters():
            parameter.mul_(1.1)
    runs = []
    for segmenter in (untouched, tuned):
        segmenter.encoder.register_forward_hook(lambda *_: runs.append(1))
        segmenter.stages[0].modules[0].register_forward_hook(lambda *_: runs.append(1))
    pixels = np.random.default_rng(0).integers(256, size=(48, 64, 3), dtype=np.uint8)
    models = Models({"untouched": untouched, "tuned": tuned}, CPU, kept=2)
    features = models.features(pixels, image_key(pixels))
    assert len(runs) == 1
    wanted = PromptedObject(clicks=((20.0, 30.0, 1),))
    answers, seconds = models.answer(features, Question(wanted), height=48, width=64)
    assert seconds > 0
    for name, segmenter in (("untouched", untouched), ("tuned", tuned)):
        ((_, alone),) = ask(segmenter, encode(segmenter, pixels, CPU), [wanted], height=48, width=64)
        assert torch.equal(answers[name].mask, alone.logits)
        assert answers[name].ious[answers[name].chosen] == pytest.approx(alone.predicted_iou)
    assert not torch.equal(answers["untouched"].mask, answers["tuned"].mask)


def test_one_click_gets_three_candidates_and_more_prompts_one_mask() -> None:
    segmenter = load_segmenter("adapt:tiny").at_input_size(64)
    models = Models({"tuned": segmenter}, CPU, kept=1)
    features = models.features(image(9), image_key(image(9)))
    click = (5.0, 5.0, 1)
    for wanted, candidates in (
        (PromptedObject(clicks=(click,)), 3),
        (PromptedObject(clicks=(click, click)), 1),
        (PromptedObject(box=(2, 2, 9, 9)), 1),
        (PromptedObject(clicks=(click,), box=(2, 2, 9, 9)), 1),
    ):
        answers, _ = models.answer(features, Question(wanted), height=SIDE, width=SIDE)
        assert len(answers["tuned"].ious) == len(answers["tuned"].logits) == candidates
        assert answers["tuned"].chosen == np.argmax(answers["tuned"].ious)


def test_the_mask_that_is_corrected_reaches_the_decoder() -> None:
    segmenter = ExactSegmenter()
    models = Models({"tuned": segmenter}, CPU, kept=1)
    features = models.features(image(9), image_key(image(9)))
    seen = torch.arange(16.0).reshape(4, 4)
    wanted = PromptedObject(clicks=((5.0, 5.0, 1),))
    models.answer(features, Question(wanted, {"tuned": seen}), height=SIDE, width=SIDE)
    prompts, multimask = segmenter.decoded[-1]
    assert torch.equal(prompts.masks[0, 0, 0], seen) and not multimask
