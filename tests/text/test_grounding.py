"""Boxes of phrases: as the published post-processing has them, and what cannot be asked."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_text_models import bert_tokenizer
from transformers import BertTokenizer, GroundingDinoForObjectDetection, GroundingDinoProcessor

from adapt.errors import CheckpointError, DataError
from adapt.recipe import TextSettings
from adapt.text import GroundingDetector
from adapt.text.grounding import Caption, caption_of, named_boxes

CPU = torch.device("cpu")
PICTURE = np.random.default_rng(0).integers(0, 256, (60, 90, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> BertTokenizer:
    return bert_tokenizer(tmp_path_factory.mktemp("bert"))


def settings(folder: Path, *, box: float = 0.35) -> TextSettings:
    return TextSettings(detector=str(folder), box_threshold=box)


def test_a_caption_is_what_the_published_processor_makes_of_the_phrases(tokenizer: BertTokenizer) -> None:
    caption = caption_of(["Red cells", "tumour"], tokenizer, longest=16)
    assert list(caption.ids) == tokenizer("red cells. tumour.")["input_ids"]
    assert [tokenizer.decode(caption.ids[begin:end]) for begin, end in caption.spans] == ["red cells", "tumour"]


def test_boxes_and_scores_of_a_phrase_are_those_of_the_published_post_processing(grounding_dino: Path) -> None:
    detector = GroundingDetector(settings(grounding_dino, box=0.6), device=CPU)
    caption = detector.caption(["red cells"])
    found = detector.boxes(PICTURE, caption)
    inputs = detector.processor(images=PICTURE, return_tensors="pt")
    ids = torch.tensor([caption.ids])
    model = GroundingDinoForObjectDetection.from_pretrained(grounding_dino).eval()
    with torch.no_grad():
        outputs = model(**inputs, input_ids=ids)
    outputs.logits[..., [0, 4, 5]] = -torch.inf  # the marks around the phrase are no words of it
    post = GroundingDinoProcessor.post_process_grounded_object_detection
    texts = SimpleNamespace(batch_decode=lambda tokens: tokens)
    (published,) = post(texts, outputs, ids, threshold=0.6, target_sizes=[(60, 90)])
    assert 0 < len(found) == len(published["scores"]) < model.config.num_queries
    order = published["scores"].argsort(descending=True)
    assert [box.score for box in found] == pytest.approx(published["scores"][order].tolist(), abs=1e-5)
    sides = np.add([box.box for box in found], [0, 0, 1, 1])  # published are sides of pixels, ours their centres
    edges = published["boxes"][order].clamp(min=0).minimum(torch.tensor([90.0, 60, 90, 60])).numpy()
    assert sides == pytest.approx(edges, abs=1e-3)


def test_a_word_that_two_phrases_share_does_not_decide_between_them() -> None:
    #          CLS   red   cell  .     white cell  .     SEP
    scores = [[0.00, 0.10, 0.90, 0.00, 0.70, 0.88, 0.00, 0.0]]
    found = named_boxes(
        torch.tensor(scores),
        torch.tensor([[0.5, 0.5, 0.5, 0.5]]),
        caption=Caption(("red cell", "white cell"), (0,) * 8, ((1, 3), (4, 6))),
        size=(40, 80),
        box_threshold=0.35,
        text_threshold=0.25,
    )
    assert [(box.phrase, box.box) for box in found] == [("white cell", (20.0, 10.0, 59.0, 29.0))]
    assert found[0].score == pytest.approx(0.88)


def test_a_phrase_is_read_without_those_beside_it(grounding_dino: Path) -> None:
    seen = []
    for second in ("tumour", "nucleus"):
        detector = GroundingDetector(settings(grounding_dino), device=CPU)
        detector.model.model.text_backbone.register_forward_hook(lambda *_: seen.append(_[2].last_hidden_state[0]))
        detector.boxes(PICTURE, detector.caption(["red cells", second]))
    assert torch.equal(seen[0][:5], seen[1][:5]) and not torch.equal(seen[0][5], seen[1][5])


def test_a_higher_threshold_leaves_fewer_boxes(grounding_dino: Path) -> None:
    detectors = [GroundingDetector(settings(grounding_dino, box=box), device=CPU) for box in (0.0, 0.6, 1.0)]
    counts = [len(detector.boxes(PICTURE, detector.caption(["disc"]))) for detector in detectors]
    assert counts[0] > counts[1] > counts[2] == 0


@pytest.mark.parametrize(
    ("phrases", "fault"),
    [
        (["the red cell. the disc"], "a full stop or question mark ends a phrase"),
        (["xyzzy"], "knows no word of it"),
        (["red cell of the disc", "white tumour of the dark nucleus"], "2 phrases have 15 word pieces"),
    ],
)
def test_a_phrase_that_the_model_cannot_read_is_refused(
    phrases: list[str], fault: str, tokenizer: BertTokenizer
) -> None:
    with pytest.raises(DataError, match=fault):
        caption_of(phrases, tokenizer, longest=13)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("nothing/here/at-all", "neither a folder nor a Hub id"),
        ("owner/grounding-dino", r"'owner/grounding-dino' could not be fetched .*set text.detector to .*hf download"),
        ("{folder}", "config.json is not a model's config.json"),
        ("{sam}", "is a 'sam' model; wanted is grounding-dino"),
    ],
)
def test_a_detector_that_is_none_is_named_with_what_to_do(name: str, fault: str, tmp_path: Path) -> None:
    from adapt.segmenters.tiny import tiny_folder

    name = name.format(folder=tmp_path, sam=tiny_folder())
    with pytest.raises(CheckpointError, match=fault):
        GroundingDetector(TextSettings(detector=name), device=CPU)


def test_a_detector_without_its_vocabulary_or_its_weights_is_refused(grounding_dino: Path, tmp_path: Path) -> None:
    for missing, fault in (("tokenizer.json vocab.txt", "the tokenizer"), ("model.safetensors", "the weights")):
        folder = tmp_path / missing
        folder.mkdir()
        for file in grounding_dino.iterdir():
            if file.name not in missing.split():
                (folder / file.name).write_bytes(file.read_bytes())
        with pytest.raises(CheckpointError, match=rf"{fault} cannot be read .*download it again"):
            GroundingDetector(settings(folder), device=CPU)
