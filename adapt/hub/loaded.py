"""A pushed model, loaded back from the Hub as anybody would load it, and compared with what was pushed."""

from collections.abc import Callable
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import CLIPTokenizer, PreTrainedModel

from adapt.errors import HubError
from adapt.hub.facts import CardFacts
from adapt.hub.repository import told
from adapt.hub.retry import retried
from adapt.hub.stock import STOCK
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.segmenters.quiet import quiet_transformers

PHRASE = "a cell"


def check_loaded(facts: CardFacts, commit: str, folder: Path, *, tell: Callable[[str], None]) -> None:
    """Compare the answers to a fixed question, bit by bit.

    Args:
        facts: of the card.
        commit: that was made.
        folder: what was pushed.
        tell: gets a line for each download that is tried again.

    Raises:
        HubError: it cannot be loaded, or answers otherwise.
    """
    base = (facts.recipe.model.checkpoint, facts.base_commit) if facts.adapter else None

    def answered(place: str, revision: str | None) -> tuple[Tensor, ...]:
        if facts.asked == "classes" and facts.why_ours:
            return (label_maps(load_segmenter(place, revision=revision), facts.input_size),)
        model = load_plain(place, revision, family=facts.family, base=base)
        if facts.asked == "prompts":
            return answers(model, facts.input_size)
        if facts.asked == "classes":
            return (maps_of_classes(model, facts.input_size),)
        tokenizer = CLIPTokenizer.from_pretrained(place, revision=revision or "main")
        return answers_to_phrase(model, tokenizer, facts.input_size)

    with told(facts.repo, doing=f"commit {commit} is there, but was not checked"), quiet_transformers():
        one = retried(lambda: answered(facts.repo, commit), what=f"load {facts.repo} back", tell=tell)
        other = answered(str(folder), None)
    if not all(torch.equal(a, b) for a, b in zip(one, other, strict=True)):
        raise HubError(
            f"{facts.repo} at commit {commit} does not answer as what was pushed; remove that commit, and push again"
        )


def load_plain(place: str, commit: str | None, *, family: str, base: tuple[str, str | None] | None) -> nn.Module:
    """A model, or an adapter on its base, by transformers and peft alone."""
    options = {"revision": commit or "main", "dtype": torch.float32, "use_safetensors": True}
    stock = STOCK[family].model
    if base is None:
        model: nn.Module = stock.from_pretrained(place, **options).eval()
        return model
    name, base_commit = base
    under = stock.from_pretrained(name, **{**options, "revision": base_commit or "main"})
    return PeftModel.from_pretrained(under, place, revision=commit).eval()


@torch.no_grad()
def answers(model: nn.Module, image_size: int) -> tuple[Tensor, Tensor]:
    """Masks and predicted IoUs for a click and for a box, in an image of noise that is always the same."""
    image = _noise(image_size)
    third = image_size / 3
    click = model(pixel_values=image, input_points=torch.tensor([[[[third, third]]]]))
    box = model(pixel_values=image, input_boxes=torch.tensor([[[third, third, 2 * third, 2 * third]]]))
    masks = torch.cat([found.pred_masks.flatten() for found in (click, box)])
    return masks, torch.cat([found.iou_scores.flatten() for found in (click, box)])


@torch.no_grad()
def maps_of_classes(model: nn.Module, image_size: int) -> Tensor:
    """Logits of the background and each class in that image, (1, 1, 1 + classes, h, w), of a stock model."""
    maps: Tensor = model(pixel_values=_noise(image_size)).pred_masks
    return maps


@torch.no_grad()
def label_maps(segmenter: PromptableSegmenter, image_size: int) -> Tensor:
    """The same of a segmenter, (1, 1 + classes, h, w)."""
    return segmenter.classify(segmenter.encode(_noise(image_size)))


@torch.no_grad()
def answers_to_phrase(model: nn.Module, tokenizer: CLIPTokenizer, image_size: int) -> tuple[Tensor, ...]:
    """Scores, boxes and masks of a phrase in that image."""
    assert isinstance(model, PreTrainedModel | PeftModel)
    longest = model.config.text_config.max_position_embeddings
    read = tokenizer(PHRASE, padding="max_length", max_length=longest, truncation=True, return_tensors="pt")
    found = model(pixel_values=_noise(image_size), **read)
    return found.pred_logits, found.presence_logits, found.pred_boxes, found.pred_masks


def _noise(image_size: int) -> Tensor:
    return torch.randn(1, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
