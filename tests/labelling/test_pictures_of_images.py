"""Large images and stacks as pictures: each pixel is in one, and each prompt in the picture that shows its object."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from adapt.errors import DataError
from adapt.labelling.drawing import _mirrored
from adapt.labelling.pictures import pixels_of, places_of, prompts_of
from adapt.predict.inputs import Input
from adapt.predict.opened import Opened, Plain
from adapt.predict.prompted import PromptedObject
from adapt.tiles import Tile


def opened(height: int, width: int, *, slices: int = 1, tile_size: int | None = None) -> Opened:
    volume = np.arange(slices * height * width).reshape(slices, height, width).astype(np.uint8)

    def picture(index: int, tile: Tile) -> npt.NDArray[np.uint8]:
        return np.stack((volume[index][tile.slices],) * 3, axis=2)

    return Opened(height, width, slices, picture, tile_size, 8, Plain())


def names(image: Opened) -> list[str]:
    return [place.name for place in places_of(_input(), image)]


def _input() -> Input:
    return Input("scan", Path("scan.tif"))


def test_a_picture_is_named_by_its_slice_and_its_tile() -> None:
    assert names(opened(20, 30)) == ["scan.png"]
    assert names(opened(20, 30, tile_size=32)) == ["scan.png"]
    assert names(opened(20, 30, slices=2)) == ["scan_z0000.png", "scan_z0001.png"]
    assert names(opened(32, 64, tile_size=32)) == ["scan_y00000_x00000.png", "scan_y00000_x00032.png"]


def test_tiles_lie_side_by_side_and_show_the_pixels_of_their_place() -> None:
    image = opened(32, 64, slices=2, tile_size=32)
    places = list(places_of(_input(), image))
    whole = np.concatenate([pixels_of(image, place) for place in places if place.slice == 1], axis=1)
    assert np.array_equal(whole, image.picture(1, image.whole))


def test_a_prompt_is_asked_in_the_picture_that_has_its_middle_and_ends_at_its_border() -> None:
    image = opened(32, 64, tile_size=32)
    left, right = places_of(_input(), image)
    box = PromptedObject(box=(20.0, 4.0, 50.0, 9.0))
    clicked = PromptedObject(clicks=((10.0, 5.0, 1), (40.0, 5.0, 0)))
    assert prompts_of([box, clicked], image, left) == [PromptedObject(clicks=((10.0, 5.0, 1),))]
    assert prompts_of([box, clicked], image, right) == [PromptedObject(box=(0.0, 4.0, 18.0, 9.0))]


def test_a_prompt_belongs_to_its_slice_and_one_outside_is_refused() -> None:
    image = opened(20, 30, slices=2)
    first, second = places_of(_input(), image)
    wanted = [PromptedObject(clicks=((3.0, 4.0, 1),), slice=1)]
    assert prompts_of(wanted, image, first) == []
    assert prompts_of(wanted, image, second) == [PromptedObject(clicks=((3.0, 4.0, 1),))]
    with pytest.raises(DataError, match="outside of the image of 30 x 20"):
        prompts_of([PromptedObject(clicks=((33.0, 4.0, 1),), slice=0)], image, first)


@pytest.mark.parametrize(("axes", "click"), [((1,), (27.0, 2.0, 1)), ((0,), (2.0, 17.0, 1)), ((0, 1), (27.0, 17.0, 1))])
def test_a_prompt_of_a_mirrored_picture_lies_on_the_same_pixel(axes: tuple[int, ...], click: object) -> None:
    one = PromptedObject(clicks=((2.0, 2.0, 1),), box=(2.0, 3.0, 10.0, 8.0))
    turned = _mirrored(one, axes, height=20, width=30)
    assert turned.clicks == (click,)
    assert turned.box is not None and turned.box[0] <= turned.box[2] and turned.box[1] <= turned.box[3]
    assert _mirrored(turned, axes, height=20, width=30) == one
