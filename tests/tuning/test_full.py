"""Full tuning: everything trains but the frequencies that place points."""

from adapt.segmenters import load_segmenter
from adapt.tuning import trainable_names, tune_decoder, tune_fully


def test_everything_trains_but_the_frequencies() -> None:
    segmenter = load_segmenter("adapt:tiny")
    tune_fully(segmenter, drop_path=0.0)
    frozen = {name for name, _ in segmenter.named_parameters()} - set(trainable_names(segmenter))
    assert frozen == {"model.shared_image_embedding.positional_embedding"}


def test_it_thaws_what_an_earlier_stage_froze() -> None:
    segmenter, frozen = load_segmenter("adapt:tiny"), load_segmenter("adapt:tiny")
    tune_fully(segmenter, drop_path=0.0)
    tune_decoder(frozen, prompt_encoder=False)
    tune_fully(frozen, drop_path=0.0)
    assert trainable_names(frozen) == trainable_names(segmenter)
