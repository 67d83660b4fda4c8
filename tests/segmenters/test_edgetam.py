"""EdgeTAM as it is published: a video model, of which the part that segments images is read."""

import json
from pathlib import Path

import pytest
import torch
from small_families import DECODER, edgetam
from transformers import EdgeTamModel, EdgeTamVideoConfig, EdgeTamVideoModel

from adapt.doctor import examine
from adapt.families import missing_packages
from adapt.prompts import point_prompts
from adapt.segmenters import load_segmenter
from adapt.segmenters.initial import initialised
from adapt.segmenters.segmenter import Segmenter

pytestmark = pytest.mark.skipif(bool(missing_packages("EdgeTAM")), reason=missing_packages("EdgeTAM"))
VALID = torch.ones(2, 1, dtype=torch.bool)


@pytest.fixture(scope="module")
def video() -> EdgeTamVideoModel:
    """With all that its memory needs; without embeddings of occlusion and of time, as the published one."""
    config = EdgeTamVideoConfig(
        vision_config=edgetam().vision_config,
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config=DECODER,
        image_size=64,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_mlp_hidden_size=32,
        memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=32,
        mask_downsampler_embed_dim=32,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=32,
        perceiver_resampler_num_layers=1,
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
    )
    model = initialised(config, seed=0, of=EdgeTamVideoModel)
    torch.nn.init.normal_(model.no_memory_embedding, generator=torch.Generator().manual_seed(1))
    torch.nn.init.constant_(model.mask_decoder.pred_obj_score_head.proj_out.bias, 9.0)  # else it blanks its masks
    return model.eval()


@pytest.fixture
def folder(video: EdgeTamVideoModel, tmp_path: Path) -> Path:
    video.save_pretrained(tmp_path / "video")
    return tmp_path / "video"


def test_a_video_checkpoint_is_read_for_images_with_every_weight_that_it_has_for_them(
    video: EdgeTamVideoModel, folder: Path
) -> None:
    assert json.loads((folder / "config.json").read_bytes())["model_type"] == "edgetam_video"
    verdict = examine(str(folder))
    assert (verdict.family, verdict.usable) == ("EdgeTAM", True)
    segmenter = load_segmenter(str(folder))
    assert isinstance(segmenter, Segmenter) and segmenter.family == "EdgeTAM" and segmenter.memory is None
    kept, whole = segmenter.model.state_dict(), video.state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in kept.items())
    left = {name.split(".")[0] for name in whole.keys() - kept.keys()}
    assert {"memory_attention", "memory_encoder", "spatial_perceiver"} <= left
    assert not left & {"vision_encoder", "prompt_encoder", "mask_decoder", "shared_image_embedding"}


def test_it_answers_as_the_video_model_does_on_a_frame_without_memory(video: EdgeTamVideoModel, folder: Path) -> None:
    segmenter = load_segmenter(str(folder))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    prompts = point_prompts(torch.tensor([[[20.0, 25.0]], [[30.0, 10.0]]]), VALID)
    with torch.no_grad():
        ours = segmenter.decode(segmenter.encode(images), prompts, multimask=True)
    for place in range(2):  # it mixes up the objects of several images
        with torch.no_grad():
            stock = video._single_frame_forward(
                pixel_values=images[place : place + 1],
                input_points=prompts.points[place : place + 1],
                input_labels=prompts.point_labels[place : place + 1],
            )
        best = ours.iou[place, 0].argmax()
        torch.testing.assert_close(ours.logits[place, 0, best], stock.pred_masks[0, 0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.iou[place, 0], stock.iou_scores.flatten(), rtol=1e-4, atol=1e-5)


def test_what_is_saved_of_it_is_a_model_of_images(folder: Path, tmp_path: Path) -> None:
    segmenter = load_segmenter(str(folder))
    assert isinstance(segmenter, Segmenter)
    segmenter.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "config.json").read_bytes())["model_type"] == "edgetam"
    stock = EdgeTamModel.from_pretrained(tmp_path / "saved").state_dict()
    assert all(torch.equal(value, stock[name]) for name, value in segmenter.model.state_dict().items())
