"""SAM 2 as it lies on the Hub: video models, read and saved whole, of which other programs read the part for images."""

import copy
import json
from pathlib import Path

import pytest
import torch
from small_families import of_images, small_segmenter
from transformers import Sam2Model, Sam2VideoModel

from adapt.prompts import box_prompts
from adapt.segmenters import Segmenter, load_segmenter, memory_of

FAMILY = "SAM 2 video"


def test_a_video_checkpoint_keeps_its_memory_and_serves_images_too(tmp_path: Path) -> None:
    small_segmenter(FAMILY).save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_bytes())["model_type"] == "sam2_video"
    segmenter = load_segmenter(str(tmp_path))
    assert isinstance(segmenter, Segmenter) and segmenter.family == FAMILY and segmenter.memory is not None
    video, image = Sam2VideoModel.from_pretrained(tmp_path), Sam2Model.from_pretrained(tmp_path)
    for stock in (video, image):
        for name, value in stock.state_dict().items():
            assert torch.equal(value, segmenter.model.state_dict()[name]), name
    assert set(video.state_dict()) == set(segmenter.model.state_dict()) > set(image.state_dict())


def test_a_model_of_images_has_no_memory() -> None:
    assert small_segmenter("SAM 2").memory is None
    assert small_segmenter("SAM 3 tracker").memory is None


def test_the_memory_is_all_that_a_model_of_images_lacks_but_what_no_run_reads() -> None:
    """A mask given as a prompt frame's answer is never asked for, nor are positions that the stock model leaves out."""
    segmenter = small_segmenter(FAMILY)
    assert segmenter.memory is not None
    own = {id(parameter) for parameter in segmenter.memory.parameters}
    of_image = set(of_images(segmenter.model).state_dict())
    others = {name for name, p in segmenter.model.named_parameters() if name not in of_image and id(p) not in own}
    assert others == {"no_memory_positional_encoding", "mask_downsample.weight", "mask_downsample.bias"}
    assert len(own) == len(segmenter.memory.parameters)


@pytest.mark.parametrize("size", [32, 128])
def test_a_memory_of_another_input_size_has_the_same_weights(size: int) -> None:
    segmenter = copy.deepcopy(small_segmenter(FAMILY))
    resized = segmenter.at_input_size(size)
    assert resized.memory is not None
    assert resized.model.memory_attention.position_ids.shape == ((size // 16) ** 2, 2)
    assert resized.model.image_size == size


def test_the_embedded_video_model_is_the_same_on_every_call_and_sees_objects() -> None:
    one, other = load_segmenter("adapt:tiny_video"), load_segmenter("adapt:tiny_video")
    assert memory_of(one) is not None and one.spec.image_size == 128
    for (name, value), (_, again) in zip(one.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(value, again), name
    prompts = box_prompts(torch.tensor([[[10.0, 10.0, 80.0, 90.0]]]), torch.ones(1, 1, dtype=torch.bool))
    with torch.no_grad():
        found = one.decode(one.encode(torch.randn(1, 3, 128, 128)), prompts, multimask=False)
    assert found.presence is not None and float(found.presence) > 0
