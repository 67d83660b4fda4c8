"""Training on clips: what is prompted, what is remembered, what learns from which frame."""

import copy
from dataclasses import replace

import pytest
import torch
from small_families import small_segmenter
from torch import Tensor
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from adapt.build import tune
from adapt.clips import Clips, Followed, clip_ious, clip_losses, corrected_frame
from adapt.errors import RecipeError
from adapt.losses import LossWeights, ObjectLosses, mean_over_objects
from adapt.optimization import OptimizationPlan
from adapt.prompts import PromptSimulation, Session, box_prompts, no_prompts, tight_boxes
from adapt.recipe import Recipe
from adapt.samples import Batch
from adapt.segmenters import Segmenter, memory_of
from adapt.session import Objective, most_confident_answers, session_losses
from adapt.task import AdaptTask

FRAMES, SIDE = 4, 64
SINGLE = Session(corrections=0, clicks_per_round=1, idle_rounds=0, truth_click_chance=0, mask_prompts=True)
CORRECTED = replace(SINGLE, corrections=2)
OBJECTIVE = Objective(LossWeights(focal=20, dice=1, iou=1, alpha=0.25, gamma=2, presence=1), at="mask", points=0)
DATA = {"kind": "medical", "root": "-", "labels": {"a": 1}, "intensity": {"kind": "hu_window", "windows": ["bone"]}}


def recipe(length: int = FRAMES, *, tuning: str = "decoder") -> Recipe:
    changes = {"clips": {"length": length}, "loss": {"presence_weight": 1.0}, "tuning": {"mode": tuning}}
    return Recipe.model_validate({"data": DATA, **changes})


@pytest.fixture
def segmenter() -> Segmenter:
    """Small, in eval mode, what trains is chosen; it sees an object everywhere."""
    found = copy.deepcopy(small_segmenter("SAM 2 video"))
    with torch.no_grad():
        found.mask_decoder.pred_obj_score_head.proj_out.bias.add_(2)
    tune(recipe(), found)
    return found


def batch_of(clips: int = 2, *, gone: tuple[int, ...] = ()) -> Batch:
    """Two squares that move to the right in each clip; in the frames that are `gone` the second is not there."""
    images = clips * FRAMES
    masks = torch.zeros(images, 2, SIDE, SIDE, dtype=torch.bool)
    for image in range(images):
        left = 4 + 4 * (image % FRAMES) + 6 * (image // FRAMES)
        masks[image, 0, 10:26, left : left + 16] = True
        masks[image, 1, 40:56, left : left + 20] = image % FRAMES not in gone
    return Batch(
        images=torch.randn(images, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)),
        extents=torch.full((images, 2), float(SIDE)),
        masks=masks,
        object_valid=torch.ones(images, 2, dtype=torch.bool),
        sample_keys=torch.arange(images) + 1,
        categories=(("a", "a"),) * images,
        groups=("p0",) * images,
        sample_ids=tuple(map(str, range(images))),
        spacings=torch.ones(images, 2),
        frames=FRAMES,
    )


def losses_of(
    segmenter: Segmenter, batch: Batch, *, session: Session = SINGLE, box_chance: float = 0.5, corrected: float = 0.0
) -> tuple[ObjectLosses, Tensor]:
    return clip_losses(
        segmenter,
        segmenter.encode(batch.images),
        batch,
        epoch=0,
        step=0,
        simulation=PromptSimulation(seed=0, box_chance=box_chance, box_noise=0, box_noise_max=0),
        session=session,
        objective=OBJECTIVE,
        clips=Clips(corrected),
    )


def by_frame(values: Tensor) -> Tensor:
    """(frames, clips x objects)."""
    return values.unflatten(0, (FRAMES, -1))


@torch.no_grad()
def test_the_first_frame_is_trained_as_an_image_is(segmenter: Segmenter) -> None:
    batch = batch_of()
    first = torch.arange(0, len(batch.sample_ids), FRAMES)
    of_images = replace(
        batch,
        **{name: getattr(batch, name)[first] for name in ("images", "extents", "masks", "object_valid", "sample_keys")},
        **{name: getattr(batch, name)[first] for name in ("spacings", "counted", "weights")},
        **{name: getattr(batch, name)[:2] for name in ("categories", "groups", "sample_ids")},
        frames=1,
    )
    expected, _ = session_losses(
        segmenter,
        segmenter.encode(of_images.images),
        of_images,
        epoch=0,
        step=0,
        simulation=PromptSimulation(seed=0, box_chance=0.5, box_noise=0, box_noise_max=0),
        session=CORRECTED,
        objective=OBJECTIVE,
    )
    found, _ = losses_of(segmenter, batch, session=CORRECTED)
    torch.testing.assert_close(by_frame(found.total)[0], expected.total, rtol=1e-4, atol=1e-5)


def test_what_is_followed_is_what_the_stock_session_follows(segmenter: Segmenter) -> None:
    """Each clip of a batch, with both its objects, against the authors' order of things."""
    batch = batch_of()
    boxes = tight_boxes(batch.masks[::FRAMES])
    with torch.no_grad():
        followed = Followed(segmenter, segmenter.encode(batch.images), batch, training=False)
        ours = []
        for frame in range(FRAMES):
            decode = followed.by_memory(frame) if frame else None
            predictions = (
                followed.decode(0, box_prompts(boxes, followed.valid), multimask=False)
                if decode is None
                else decode(no_prompts(followed.valid), multimask=followed.candidates)
            )
            answers = most_confident_answers(predictions)
            followed.remember(frame, answers, prompted=not frame)
            ours.append(answers.logits)
    for clip in range(2):
        video = batch.images[clip * FRAMES : (clip + 1) * FRAMES]
        session = Sam2VideoInferenceSession(video=video, video_height=SIDE, video_width=SIDE, dtype=torch.float32)
        for number in range(2):
            given = {
                "point_coords": boxes[clip, number].reshape(1, 1, 2, 2),
                "point_labels": torch.tensor([[[2, 3]]]),
            }
            session.add_point_inputs(session.obj_id_to_idx(number), 0, given)
        session.obj_with_new_inputs = [0, 1]
        for frame in range(FRAMES):
            stock = segmenter.model(session, frame_idx=frame).pred_masks[:, 0]
            torch.testing.assert_close(ours[frame][clip], stock, rtol=0, atol=1e-4)


def test_gradients_reach_the_decoder_and_all_of_the_memory_but_what_absence_alone_reads(segmenter: Segmenter) -> None:
    losses, valid = losses_of(segmenter, batch_of(), session=CORRECTED, corrected=1.0)
    mean_over_objects(losses.total, valid).backward()
    memory = memory_of(segmenter)
    assert memory is not None
    names = {id(parameter): name for name, parameter in segmenter.model.named_parameters()}
    reached = {
        name for name, p in segmenter.model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum())
    }
    of_memory = {names[id(parameter)] for parameter in memory.parameters}
    assert of_memory - reached == {"no_object_pointer", "occlusion_spatial_embedding_parameter"}
    assert reached - of_memory <= {name for name in names.values() if name.startswith("mask_decoder.")}
    assert any(name.startswith("mask_decoder.") for name in reached)


def test_later_frames_teach_what_the_first_one_is_remembered_by(segmenter: Segmenter) -> None:
    losses, _ = losses_of(segmenter, batch_of())
    by_frame(losses.total)[-1].sum().backward()
    encoder = segmenter.model.memory_encoder.mask_downsampler.final_conv.weight.grad
    assert encoder is not None and encoder.abs().sum() > 0


@torch.no_grad()
def test_an_object_that_is_gone_teaches_its_object_score_alone(segmenter: Segmenter) -> None:
    found, _ = losses_of(segmenter, batch_of(gone=(2,)))
    second = by_frame(found.focal).unflatten(1, (-1, 2))[..., 1]
    assert (second[2] == 0).all() and (second[[0, 1, 3]] > 0).all()
    for name in ("focal", "dice", "iou_error", "iou"):  # the model says that it is there, which is wrong
        assert (by_frame(getattr(found, name)).unflatten(1, (-1, 2))[2, :, 1] == 0).all()
    score = by_frame(found.total).unflatten(1, (-1, 2))[2, :, 1]
    assert (score > torch.log(torch.tensor(2.0))).all()  # the cross-entropy of a wrong score


def test_an_object_score_that_is_right_about_an_absence_costs_little(segmenter: Segmenter) -> None:
    with torch.no_grad():
        segmenter.mask_decoder.pred_obj_score_head.proj_out.bias.sub_(20)
        found, _ = losses_of(segmenter, batch_of(gone=(2,)))
    gone = by_frame(found.total).unflatten(1, (-1, 2))[2, :, 1]
    assert (gone < 1e-3).all() and (by_frame(found.iou).unflatten(1, (-1, 2))[2, :, 1] == 1).all()


@torch.no_grad()
def test_frames_that_do_not_count_change_nothing(segmenter: Segmenter) -> None:
    batch = batch_of()
    counted = torch.ones(len(batch.sample_ids), dtype=torch.bool)
    counted[FRAMES - 1] = False  # the last one of the first clip
    whole, all_of_it = losses_of(segmenter, batch)
    cut, part = losses_of(segmenter, replace(batch, counted=counted))
    assert torch.equal(whole.total, cut.total)
    assert int(all_of_it.sum()) == 16 and int(part.sum()) == 14
    assert by_frame(part)[-1].sum() == 2


@torch.no_grad()
def test_one_frame_of_some_steps_is_corrected(segmenter: Segmenter) -> None:
    frames = [corrected_frame(Clips(0.5), frames=8, seed=0, epoch=0, step=step) for step in range(400)]
    assert 160 < sum(frame is not None for frame in frames) < 240
    assert {frame for frame in frames if frame is not None} == set(range(1, 8))
    assert frames == [corrected_frame(Clips(0.5), frames=8, seed=0, epoch=0, step=step) for step in range(400)]
    plain, _ = losses_of(segmenter, batch_of(), session=CORRECTED)
    clicked, _ = losses_of(segmenter, batch_of(), session=CORRECTED, corrected=1.0)
    frame = corrected_frame(Clips(1.0), frames=FRAMES, seed=0, epoch=0, step=0)
    assert frame is not None
    same = [
        torch.allclose(one, other) for one, other in zip(by_frame(plain.total), by_frame(clicked.total), strict=True)
    ]
    assert same[:frame] == [True] * frame and not any(same[frame:])


@pytest.mark.parametrize("by_box", [False, True])
@torch.no_grad()
def test_validation_is_the_mean_over_the_frames_that_count(segmenter: Segmenter, by_box: bool) -> None:
    batch = batch_of()
    features = segmenter.encode(batch.images)
    whole = clip_ious(segmenter, features, batch, by_box=by_box)
    assert whole.shape == (2, 2) and ((whole >= 0) & (whole <= 1)).all()
    parts = []
    for frame in range(FRAMES):
        counted = torch.arange(len(batch.sample_ids)) % FRAMES == frame
        parts.append(clip_ious(segmenter, features, replace(batch, counted=counted), by_box=by_box))
    torch.testing.assert_close(whole, torch.stack(parts).mean(0))


def test_the_task_trains_and_validates_clips(segmenter: Segmenter) -> None:
    plan = OptimizationPlan(1e-3, 0.0, 0, "constant", 10)
    task = AdaptTask(
        segmenter,
        simulation=PromptSimulation(seed=0, box_chance=1, box_noise=0, box_noise_max=0),
        session=SINGLE,
        objective=OBJECTIVE,
        plan=plan,
        clips=Clips(0.0),
    )
    task.on_fit_start()
    assert segmenter.model.memory_attention.training and not segmenter.encoder.training
    optimizer = task.configure_optimizers()["optimizer"]
    found = []
    for step in range(12):
        torch.manual_seed(step)
        losses, valid = task.losses(batch_of(), step=0)
        loss = mean_over_objects(losses.total, valid)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    assert found[-1] < 0.8 * found[0]
    segmenter.eval()
    task.validation_step(batch_of(), 0)
    assert 0 <= float(task.miou_box.compute()) <= 1


def test_a_model_without_a_memory_is_refused() -> None:
    for family in ("SAM", "SAM 2", "SAM 3 tracker"):
        with pytest.raises(RecipeError, match=rf"trains a memory, and a {family} model has none: set it to 1"):
            tune(recipe(), copy.deepcopy(small_segmenter(family)))


@pytest.mark.parametrize("mode", ["decoder", "full"])
def test_a_memory_stays_as_it_is_unless_it_is_trained_on_clips(mode: str) -> None:
    segmenter = copy.deepcopy(small_segmenter("SAM 2 video"))
    memory = memory_of(segmenter)
    assert memory is not None
    tune(recipe(length=1, tuning=mode), segmenter)
    assert not any(parameter.requires_grad for parameter in memory.parameters)
    tune(recipe(tuning=mode), segmenter)
    assert all(parameter.requires_grad for parameter in memory.parameters)


def test_clips_without_an_object_score_are_refused() -> None:
    with pytest.raises(ValueError, match=r"clips\.length above 1 needs loss\.presence_weight above 0"):
        Recipe.model_validate({"data": DATA, "clips": {"length": 8}})
