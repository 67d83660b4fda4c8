"""Where prompts of a large image are asked: inside a window, away from its border, as few windows as that allows."""

from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.predict.prompted import PromptedObject
from adapt.predict.windows import windows_of_prompts


def click(x: float, y: float) -> PromptedObject:
    return PromptedObject(clicks=((x, y, 1),))


@settings(max_examples=50)
@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    size=st.integers(32, 512),
    shares=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20),
)
def test_a_click_lies_a_quarter_of_a_tile_from_the_border_of_its_window(
    height: int, width: int, size: int, shares: list[tuple[float, float]]
) -> None:
    objects = [click(x * (width - 1), y * (height - 1)) for x, y in shares]
    windows = windows_of_prompts(objects, height=height, width=width, size=size)
    assert sorted(place for own in windows.values() for place in own) == list(range(len(objects)))
    for tile, own in windows.items():
        assert 0 <= tile.left and tile.left + tile.width <= width and tile.width == min(size, width)
        assert 0 <= tile.top and tile.top + tile.height <= height and tile.height == min(size, height)
        for place in own:
            x, y, _ = objects[place].clicks[0]
            near = [x - tile.left] * (tile.left > 0) + [tile.left + tile.width - 1 - x] * (
                tile.left + tile.width < width
            )
            near += [y - tile.top] * (tile.top > 0) + [tile.top + tile.height - 1 - y] * (
                tile.top + tile.height < height
            )
            assert all(distance >= size / 4 - 2 for distance in near)


def test_prompts_near_together_share_a_window() -> None:
    objects = [click(500 + step, 500) for step in range(20)]
    assert len(windows_of_prompts(objects, height=2000, width=2000, size=256)) <= 2


def test_a_box_that_no_tile_holds_has_a_window_of_its_own_around_it() -> None:
    box = PromptedObject(box=(300, 400, 899, 599))
    ((tile, own),) = windows_of_prompts([box], height=2000, width=2000, size=256).items()
    assert own == [0] and (tile.height, tile.width) == (900, 900)
    assert (tile.left, tile.top) == (150, 50)  # the box lies in its middle


def test_a_window_ends_with_the_image() -> None:
    ((tile, _),) = windows_of_prompts([click(0, 99)], height=100, width=1000, size=256).items()
    assert (tile.top, tile.left, tile.height, tile.width) == (0, 0, 100, 256)
