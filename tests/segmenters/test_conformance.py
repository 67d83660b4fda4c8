"""What every family must do, on a small model of each: the protocol, held against the stock model of transformers."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_families import SMALL, of_images, small_model, small_segmenter
from torch import Tensor, nn

from adapt.errors import CheckpointError
from adapt.families import FAMILIES
from adapt.prompts import PADDING, Prompts, box_prompts, point_prompts
from adapt.segmenters import ImageFeatures, MaskPredictions, freeze_boundary, load_segmenter, random_segmenter
from adapt.segmenters.checkpoint import BY_NAME
from adapt.segmenters.segmenter import Segmenter
from adapt.tuning import tune_decoder

VALID = torch.ones(2, 3, dtype=torch.bool)


@pytest.fixture(params=SMALL)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def segmenter(family: str) -> Segmenter:
    return small_segmenter(family)


@pytest.fixture
def own(family: str) -> Segmenter:
    """One that may be changed."""
    return copy.deepcopy(small_segmenter(family))


def images_for(segmenter: Segmenter, *, count: int = 2) -> Tensor:
    size = segmenter.spec.image_size
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def drawn(segmenter: Segmenter, *shape: int, seed: int) -> Tensor:
    """Anywhere in the model frame."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * (segmenter.spec.image_size - 1)


def boxes_for(segmenter: Segmenter) -> Tensor:
    corners = drawn(segmenter, 2, 3, 2, 2, seed=2)
    return torch.cat((corners.amin(-2), corners.amax(-2)), dim=-1)


def clicks_for(segmenter: Segmenter) -> tuple[Tensor, Tensor]:
    labels = torch.tensor([[1, 0, PADDING], [1, 1, 0], [0, 1, PADDING]]).expand(2, 3, 3)
    return drawn(segmenter, 2, 3, 3, 2, seed=3), labels


def prompts_for(segmenter: Segmenter, kind: str) -> Prompts:
    points, labels = clicks_for(segmenter)
    boxes, side = boxes_for(segmenter), segmenter.spec.mask_size
    masks = torch.randn(2, 3, 1, side, side, generator=torch.Generator().manual_seed(5))
    match kind:
        case "click":
            return point_prompts(drawn(segmenter, 2, 3, 2, seed=1), VALID)
        case "clicks":
            return Prompts(object_valid=VALID, points=points, point_labels=labels)
        case "box":
            return box_prompts(boxes, VALID)
        case "box and clicks":
            return Prompts(object_valid=VALID, points=points, point_labels=labels, boxes=boxes)
        case "clicks and mask":
            return Prompts(object_valid=VALID, points=points, point_labels=labels, masks=masks)
        case _:
            return Prompts(object_valid=VALID, boxes=boxes, masks=masks)


KINDS = ["click", "clicks", "box", "box and clicks", "clicks and mask", "box and mask"]


@torch.no_grad()
def answers(segmenter: Segmenter, prompts: Prompts, *, multimask: bool = True) -> MaskPredictions:
    return segmenter.decode(segmenter.encode(images_for(segmenter)), prompts, multimask=multimask)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def tensors(features: ImageFeatures) -> tuple[Tensor, ...]:
    return (features.embedding, *features.further)


def test_every_family_that_is_known_is_tested_here() -> None:
    assert set(FAMILIES.values()) == set(BY_NAME)
    assert set(BY_NAME) - set(SMALL) <= {"EdgeTAM"}  # which needs packages that may not be there
    assert all(BY_NAME[name].name == name for name in BY_NAME)


def test_sizes_are_those_of_the_spec(segmenter: Segmenter) -> None:
    spec = segmenter.spec
    predictions = answers(segmenter, prompts_for(segmenter, "click"))
    assert predictions.logits.shape == (2, 3, spec.candidates, spec.mask_size, spec.mask_size)
    assert predictions.iou.shape == (2, 3, spec.candidates)
    assert predictions.presence is None or predictions.presence.shape == (2, 3)
    single = answers(segmenter, prompts_for(segmenter, "click"), multimask=False)
    assert single.logits.shape == (2, 3, 1, spec.mask_size, spec.mask_size)


def mended(model: nn.Module, family: str) -> nn.Module:
    """A stock model of images that does as it was published.

    The decoder of SAM-HQ in transformers 5.23 drops what its transformer makes of the image, and turns the map that it
    reads instead. So the right one is written over that, turned.
    """
    twin = copy.deepcopy(of_images(model))

    def write(module: nn.Module, inputs: object, named: dict[str, Tensor], output: tuple[Tensor, Tensor]) -> None:
        read = named["image_embeddings"]
        read.copy_(output[1].transpose(2, 3).reshape(read.shape).transpose(2, 3))

    if family == "SAM-HQ":
        twin.mask_decoder.transformer.register_forward_hook(write, with_kwargs=True)  # type: ignore[union-attr,operator]
    return twin


def by_confidence(logits: Tensor, iou: Tensor) -> tuple[Tensor, Tensor]:
    """Of (B, M, ...) candidates the best first, as the stock SAM-HQ has them."""
    order = iou.argsort(dim=1, descending=True)
    return logits.take_along_dim(order[..., None, None], dim=1), iou.take_along_dim(order, dim=1)


@pytest.mark.parametrize("multimask", [True, False], ids=["three", "one"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_the_stock_model_from_pixels_to_masks(segmenter: Segmenter, kind: str, multimask: bool) -> None:
    prompts, model = prompts_for(segmenter, kind), mended(segmenter.model, segmenter.family)
    ours = answers(segmenter, prompts, multimask=multimask)
    for place in range(3):  # the stock call takes one mask prompt an image
        of_place = slice(place, place + 1)
        with torch.no_grad():
            stock = model(
                pixel_values=images_for(segmenter),
                input_points=None if prompts.points is None else prompts.points[:, of_place],
                input_labels=None if prompts.point_labels is None else prompts.point_labels[:, of_place],
                input_boxes=None if prompts.boxes is None else prompts.boxes[:, of_place],
                input_masks=None if prompts.masks is None else prompts.masks[:, place],
                multimask_output=multimask,
            )
        expected = by_confidence(stock.pred_masks[:, 0], stock.iou_scores[:, 0])
        for one, other in zip(by_confidence(ours.logits[:, place], ours.iou[:, place]), expected, strict=True):
            close(one, other)
        if ours.presence is not None:
            close(ours.presence[:, place], stock.object_score_logits[:, 0, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_prompt_matters(segmenter: Segmenter, kind: str) -> None:
    prompts = prompts_for(segmenter, kind)
    moved = prompts.select(torch.tensor([1, 0]))
    difference = (answers(segmenter, prompts).logits - answers(segmenter, moved).logits).abs()
    assert (difference.amax((-3, -2, -1)) > 1e-5).all()


def test_padding_objects_are_zero_and_change_nothing_for_others(segmenter: Segmenter) -> None:
    valid = torch.tensor([[True, False, True], [False, True, False]])
    every = answers(segmenter, box_prompts(boxes_for(segmenter), VALID))
    some = answers(segmenter, box_prompts(boxes_for(segmenter), valid))
    assert (some.logits[~valid] == 0).all() and (some.iou[~valid] == 0).all()
    close(some.logits[valid], every.logits[valid])
    close(some.iou[valid], every.iou[valid])
    if some.presence is not None and every.presence is not None:
        assert (some.presence[~valid] == 0).all()
        close(some.presence[valid], every.presence[valid])


def test_padding_points_of_some_objects_are_as_nothing_wherever_they_lie(segmenter: Segmenter) -> None:
    points, labels = clicks_for(segmenter)
    elsewhere = torch.where((labels == PADDING)[..., None], points.flip(-1) / 2, points)
    one, other = (answers(segmenter, Prompts(VALID, given, labels)) for given in (points, elsewhere))
    assert torch.equal(one.logits, other.logits)


def test_a_batch_gives_what_its_images_give_one_by_one(segmenter: Segmenter) -> None:
    images, prompts = images_for(segmenter), prompts_for(segmenter, "box and mask")
    together = answers(segmenter, prompts)
    for place in range(2):
        with torch.no_grad():
            alone = segmenter.decode(
                segmenter.encode(images[place : place + 1]), prompts.select(torch.tensor([place])), multimask=True
            )
        close(alone.logits[0], together.logits[place])
        close(alone.iou[0], together.iou[place])


def test_features_of_some_images_are_selected_whole(segmenter: Segmenter) -> None:
    with torch.no_grad():
        features = segmenter.encode(images_for(segmenter, count=3))
    for index in (torch.tensor([2, 0, 2]), torch.tensor([False, True, True])):
        chosen = features.select(index)
        assert len(tensors(chosen)) == len(tensors(features))
        for one, other in zip(tensors(chosen), tensors(features), strict=True):
            assert torch.equal(one, other[index])


def test_prefix_and_suffix_are_the_encoder_to_the_bit_wherever_it_is_cut(segmenter: Segmenter) -> None:
    images = images_for(segmenter)
    with torch.no_grad():
        whole = segmenter.encode(images)
        for boundary in range(len(segmenter.stages) + 1):
            parts = segmenter.encode_suffix(segmenter.encode_prefix(images, boundary=boundary), boundary=boundary)
            assert len(tensors(parts)) == len(tensors(whole))
            for one, other in zip(tensors(parts), tensors(whole), strict=True):
                assert torch.equal(one, other), boundary


def test_each_stage_tells_the_shapes_of_what_it_hands_on(segmenter: Segmenter) -> None:
    hidden = (images_for(segmenter),)
    for stage in segmenter.stages:
        with torch.no_grad():
            hidden = stage.run(hidden)
        assert tuple(tuple(value.shape[1:]) for value in hidden) == stage.shapes


def test_nothing_is_handed_on_twice(segmenter: Segmenter) -> None:
    hidden = (images_for(segmenter),)
    for stage in segmenter.stages:
        with torch.no_grad():
            hidden = stage.run(hidden)
        assert len({value.data_ptr() for value in hidden}) == len(hidden)


def test_stages_have_every_parameter_of_the_encoder_once(segmenter: Segmenter) -> None:
    listed = [id(parameter) for stage in segmenter.stages for parameter in stage.parameters]
    assert len(listed) == len(set(listed))
    assert {id(parameter) for parameter in segmenter.encoder.parameters()} <= set(listed)


def test_the_boundary_is_in_front_of_each_stage_that_trains(own: Segmenter) -> None:
    for parameter in own.parameters():
        parameter.requires_grad_(False)
    assert freeze_boundary(own.stages) == len(own.stages)
    for place in reversed(range(len(own.stages))):
        own.stages[place].parameters[-1].requires_grad_(True)
        assert freeze_boundary(own.stages) == place


@pytest.mark.parametrize("place", [0, 2, -1])
def test_gradients_reach_exactly_what_trains(own: Segmenter, place: int) -> None:
    tune_decoder(own, prompt_encoder=False)
    trains = own.stages[place].modules[0]
    for parameter in trains.parameters():
        parameter.requires_grad_(True)
    predictions = own.decode(own.encode(images_for(own)), prompts_for(own, "clicks"), multimask=True)
    loss = predictions.logits.square().mean() + predictions.iou.square().mean()
    (loss if predictions.presence is None else loss + predictions.presence.square().mean()).backward()
    expected = {id(parameter) for part in (trains, own.mask_decoder) for parameter in part.parameters()}
    reached = {id(parameter) for parameter in own.parameters() if parameter.grad is not None}
    assert reached == expected
    nonzero = [bool(p.grad.abs().sum() > 0) for p in trains.parameters() if p.grad is not None]
    assert all(nonzero)


def test_recomputed_stages_give_equal_gradients(own: Segmenter) -> None:
    found = []
    for recompute in (False, True):
        own.zero_grad()
        features = own.encode_suffix((images_for(own),), boundary=0, recompute=recompute)
        torch.stack([value.square().mean() for value in tensors(features)]).sum().backward()
        gradients = [parameter.grad for parameter in own.encoder.parameters() if parameter.grad is not None]
        found.append(torch.cat([gradient.flatten() for gradient in gradients]))
    assert torch.equal(found[0], found[1])


def test_in_bfloat16_it_gives_nearly_the_same(segmenter: Segmenter) -> None:
    prompts = prompts_for(segmenter, "clicks")
    exact = answers(segmenter, prompts)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = answers(segmenter, prompts)
    assert rounded.logits.dtype == torch.bfloat16
    error = (rounded.logits.float() - exact.logits).abs().mean()
    assert 0 < error < 0.05 * exact.logits.abs().mean()


def test_the_encoder_runs_once_however_often_is_decoded(own: Segmenter) -> None:
    calls: list[int] = []
    own.stages[0].modules[0].register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    with torch.no_grad():
        features = own.encode(images_for(own))
        for kind in KINDS:
            own.decode(features, prompts_for(own, kind), multimask=True)
    assert calls == [2]


def test_what_is_saved_is_read_by_transformers_alone(own: Segmenter, family: str, tmp_path: Path) -> None:
    with torch.no_grad():
        next(own.mask_decoder.parameters()).mul_(1.5)
    own.save(tmp_path)
    model_class = BY_NAME[family].model
    stock = model_class.from_pretrained(tmp_path).eval()
    expected = own.state_dict()
    for name, value in stock.state_dict().items():
        assert torch.equal(value, expected[f"model.{name}"]), name
    loaded = load_segmenter(str(tmp_path))
    assert loaded.family == family and loaded.spec == own.spec
    assert isinstance(loaded, Segmenter)
    prompts = prompts_for(own, "box and clicks")
    assert torch.equal(answers(loaded, prompts).logits, answers(own, prompts).logits)


def test_weights_that_are_missing_are_listed_in_every_family(own: Segmenter, tmp_path: Path) -> None:
    own.save(tmp_path)
    weights = {name: value.clone() for name, value in load_file(tmp_path / "model.safetensors").items()}
    del weights[next(name for name in weights if name.endswith("mask_decoder.iou_token.weight"))]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 missing: \S*mask_decoder\.iou_token\.weight"):
        load_segmenter(str(tmp_path))


def test_the_architecture_alone_gives_fresh_weights(own: Segmenter, family: str, tmp_path: Path) -> None:
    own.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    fresh, again = (random_segmenter(str(tmp_path), seed=3) for _ in range(2))
    assert fresh.family == family
    assert isinstance(fresh, Segmenter) and isinstance(again, Segmenter)
    prompts = prompts_for(own, "click")
    assert torch.equal(answers(fresh, prompts).logits, answers(again, prompts).logits)
    assert answers(fresh, prompts).logits.std() > 0
    of_points = fresh.model.prompt_encoder.shared_embedding.positional_embedding
    assert torch.equal(of_points, fresh.model.shared_image_embedding.positional_embedding)


def test_another_input_size_has_the_same_weights(own: Segmenter) -> None:
    size = 2 * own.spec.image_size
    larger = own.at_input_size(size)
    assert (larger.spec.image_size, larger.spec.mask_size) == (size, 2 * own.spec.mask_size)
    assert [name for name, _ in larger.named_parameters()] == [name for name, _ in own.named_parameters()]
    predictions = answers(larger, prompts_for(larger, "clicks and mask"))
    assert predictions.logits.shape[-1] == 2 * own.spec.mask_size
    test_each_stage_tells_the_shapes_of_what_it_hands_on(larger)
    decoder = dict(own.mask_decoder.named_parameters())
    assert all(torch.equal(value, decoder[name]) for name, value in larger.mask_decoder.named_parameters())


def test_a_size_that_the_encoder_cannot_divide_is_refused(segmenter: Segmenter) -> None:
    with pytest.raises(CheckpointError, match=r"model\.input_size \d+ is not a multiple"):
        segmenter.at_input_size(segmenter.spec.image_size + 3)


def test_a_copy_is_a_model_of_its_own(segmenter: Segmenter) -> None:
    twin = copy.deepcopy(segmenter)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert isinstance(small_model(segmenter.family), nn.Module)
    assert answers(twin, prompts_for(twin, "click")).logits.abs().max() == 0
    assert answers(segmenter, prompts_for(segmenter, "click")).logits.abs().max() > 0
