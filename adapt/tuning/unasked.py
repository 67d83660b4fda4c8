"""What no class is answered by never trains: a gradient never reaches it, and weight decay alone would move it."""

from adapt.segmenters import PromptableSegmenter

DEFAULT_PROMPT = "prompt_encoder.no_mask_embed."
"""What the name of the embedding begins with that stands for no prompt at all."""
OF_PROMPTS = (
    "mask_decoder.iou_prediction_head.",
    "mask_decoder.output_hypernetworks_mlps.0.",
    "mask_decoder.obj_score_token.",
    "mask_decoder.pred_obj_score_head.",
    "mask_decoder.hq_",
    "prompt_encoder.",
)
"""What the names of the others begin with: the head of predicted IoU, the single mask's network, SAM 2's score of an
object, SAM-HQ's mask that is the same for all classes, points, boxes."""


def freeze_unasked(segmenter: PromptableSegmenter) -> None:
    """Freeze what is read for prompts alone, of a segmenter with classes, whatever a mode has chosen."""
    for name, parameter in segmenter.named_parameters():
        own = name.removeprefix("model.")
        if own.startswith(OF_PROMPTS) and not own.startswith(DEFAULT_PROMPT):
            parameter.requires_grad_(False)
