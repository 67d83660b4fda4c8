"""The same weights for an input of another size, where no weight depends on a position in the image."""

import copy

from transformers import PreTrainedModel

from adapt.segmenters.sam2 import check_multiple, with_weights_of


def resized(model: PreTrainedModel, size: int, *, unit: int) -> PreTrainedModel:
    """A model for inputs of `size` pixels a side.

    Args:
        model: left as it is.
        size: a multiple of `unit`.
        unit: pixels of the image for one of the encoder's coarsest map.

    Raises:
        CheckpointError: it is not a multiple.
    """
    check_multiple(size, unit)
    config = copy.deepcopy(model.config)
    prompts = config.prompt_encoder_config
    prompts.image_embedding_size = size * prompts.image_embedding_size // prompts.image_size
    config.vision_config.image_size = prompts.image_size = size
    return with_weights_of(model, config)
