"""The tracker of SAM 3 with a neck of four maps, of which the stock model reads three."""

import torch
from small_families import sam3_tracker
from transformers import Sam3TrackerModel

from adapt.prompts import point_prompts
from adapt.segmenters.initial import initialised
from adapt.segmenters.sam3_tracker import FAMILY
from adapt.segmenters.segmenter import Segmenter


def test_the_map_that_the_stock_model_leaves_out_is_left_out() -> None:
    config = sam3_tracker()
    config.vision_config.scale_factors = [4.0, 2.0, 1.0, 0.5]
    model = initialised(config, seed=0, of=Sam3TrackerModel)
    torch.nn.init.normal_(model.no_memory_embedding)
    segmenter, images = Segmenter(model, FAMILY), torch.randn(1, 3, 56, 56)
    with torch.no_grad():
        features = segmenter.encode(images)
        prompts = point_prompts(torch.tensor([[[20.0, 30.0]]]), torch.ones(1, 1, dtype=torch.bool))
        ours = segmenter.decode(features, prompts, multimask=True)
        stock = model(pixel_values=images, input_points=prompts.points, input_labels=prompts.point_labels)
    assert [tuple(value.shape[2:]) for value in features.further] == [(16, 16), (8, 8)]
    torch.testing.assert_close(ours.logits, stock.pred_masks, rtol=1e-4, atol=1e-5)
