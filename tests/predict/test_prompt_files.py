"""Prompts from files: what is read of each format, and one clear error for what cannot be."""

import json
from pathlib import Path

import pytest

from adapt.errors import DataError
from adapt.predict.inputs import Input, prompts_by_input
from adapt.predict.prompt_files import read_prompts
from adapt.predict.prompted import PromptedObject, inside


def written(tmp_path: Path, text: str, *, name: str = "prompts.json") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def as_json(tmp_path: Path, content: object) -> Path:
    return written(tmp_path, json.dumps(content))


def test_json_gives_clicks_boxes_slices_and_categories(tmp_path: Path) -> None:
    path = as_json(
        tmp_path,
        [
            {"image": "a.png", "clicks": [[3, 4.5], [7, 8, 0]], "category": "cell"},
            {"image": "b", "box": [1, 2, 3, 4], "slice": 5},
        ],
    )
    first, second = read_prompts(path)
    assert first.image == "a.png" and first.wanted.clicks == ((3, 4.5, 1), (7, 8, 0)) and first.wanted.box is None
    assert first.wanted.category == "cell"
    assert second.image == "b" and second.wanted.box == (1, 2, 3, 4) and second.wanted.slice == 5


def test_rows_of_a_csv_with_one_object_are_one_object(tmp_path: Path) -> None:
    text = "image,x,y,label,object,category\na.png,1,2,1,7,cell\na.png,3,4,0,7,cell\nb.png,1,2,1,7,cell\na.png,5,6,,,\n"
    found = read_prompts(written(tmp_path, text, name="prompts.csv"))
    assert [(one.image, one.wanted.clicks) for one in found] == [
        ("a.png", ((1, 2, 1), (3, 4, 0))),
        ("b.png", ((1, 2, 1),)),  # the 7 of another image is another object
        ("a.png", ((5, 6, 1),)),  # a row without an object is one of its own, and a click is on it
    ]


def test_prompts_of_one_object_on_several_slices_have_its_name(tmp_path: Path) -> None:
    rows = "slice,x,y,object\n3,1,2,liver\n8,3,4,liver\n8,5,6,\n"
    entries = [{"slice": index, "clicks": [[1, 2]], "object": name} for index, name in ((3, "liver"), (8, "liver"))]
    of_csv, of_json = (
        [(one.wanted.slice, one.wanted.name) for one in read_prompts(path)]
        for path in (written(tmp_path, rows, name="prompts.csv"), as_json(tmp_path, entries))
    )
    assert of_csv == [(3, "liver"), (8, "liver"), (8, "")]
    assert of_json == [(3, "liver"), (8, "liver")]


def test_a_csv_may_hold_boxes_and_clicks_of_one_object(tmp_path: Path) -> None:
    text = "object, x, y, label, x_min, y_min, x_max, y_max\n1,,,,10,20,30,40\n1,15,25,0,,,,\n2,1,2,1,,,,\n"
    first, second = read_prompts(written(tmp_path, text, name="prompts.csv"))
    assert first.image is None and first.wanted.box == (10, 20, 30, 40) and first.wanted.clicks == ((15, 25, 0),)
    assert second.wanted.box is None


def test_coco_boxes_end_with_their_last_pixel(tmp_path: Path) -> None:
    """COCO's box (10, 20, 5, 2) covers columns 10 to 14 and rows 20 and 21."""
    content = {
        "images": [{"id": 4, "file_name": "a.png"}],
        "categories": [{"id": 9, "name": "ship"}],
        "annotations": [{"image_id": 4, "category_id": 9, "bbox": [10, 20, 5, 2], "score": 0.8, "id": 1, "area": 10}],
    }
    (found,) = read_prompts(as_json(tmp_path, content))
    assert found.image == "a.png"
    assert found.wanted.box == (10, 20, 14, 21) and found.wanted.category == "ship" and found.wanted.score == 0.8


def test_a_coco_results_file_names_images_by_their_number(tmp_path: Path) -> None:
    path = as_json(tmp_path, [{"image_id": 139, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}])
    inputs = [Input("000000000139", Path("000000000139.jpg")), Input("000000000140", Path("000000000140.jpg"))]
    found = prompts_by_input(read_prompts(path), inputs, source=path)
    assert list(found) == ["000000000139"] and found["000000000139"][0].category == "3"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a,b\n1,2\n", "columns are a, b; needed are x and y, or x_min"),
        ("x,y\n1\n", r"prompts.csv:2: has not as many values as the header has names \(2\)"),
        ("x,y\n1,zwei\n", "prompts.csv:2: y 'zwei' is no number"),
        ("x,y\n1,nan\n", "prompts.csv:2: nan"),
        ("x,y,label\n1,2,3\n", "prompts.csv:2: label 3 is neither 1"),
        ("x,y,label\n1,2,0\n", "prompts.csv:2: all clicks of the object are on the background"),
        ("x,y,slice\n1,2,1.5\n", "slice 1.5 is no whole number"),
        ("x_min,y_min,x_max,y_max\n9,2,3,4\n", r"box \(9, 2, 3, 4\) is turned round"),
        ("object,x_min,y_min,x_max,y_max\n1,1,2,3,4\n1,1,2,3,4\n", "the object has 2 boxes"),
        ("x,y\n", "holds no prompt"),
    ],
)
def test_a_csv_that_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        read_prompts(written(tmp_path, text, name="prompts.csv"))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"a": 1}, "neither a list of objects"),
        ([{"image": "a", "klicks": []}], "entry 1: klicks: extra inputs are not permitted"),
        ([{"image": "a"}], "object 1: an object needs a click or a box"),
        ([{"clicks": [[1, 2, 5]]}], "entry 1: clicks"),
        ([{"bbox": [1, 2, -3, 4], "image_id": 1}], "entry 1: bbox"),
        ({"images": [], "annotations": [{"image_id": 4, "bbox": [1, 2, 3, 4]}]}, "annotation 1: no image 4"),
        ([], "holds no prompt"),
    ],
)
def test_json_that_is_wrong_is_refused(tmp_path: Path, content: object, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        read_prompts(as_json(tmp_path, content))


def test_text_that_is_no_json_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not JSON"):
        read_prompts(written(tmp_path, "[{"))
    with pytest.raises(DataError, match="no such file"):
        read_prompts(tmp_path / "nowhere.json")


def test_prompts_of_images_that_are_not_there_are_all_named(tmp_path: Path) -> None:
    path = as_json(tmp_path, [{"image": name, "clicks": [[1, 2]]} for name in ("a.png", "x.png", "y.png", "x.png")])
    with pytest.raises(DataError, match=r"name 2 images that are not in the input: x\.png, y\.png; the input"):
        prompts_by_input(read_prompts(path), [Input("a", Path("a.png"))], source=path)


def test_a_prompt_without_an_image_is_of_the_only_one(tmp_path: Path) -> None:
    path = as_json(tmp_path, [{"clicks": [[1, 2]]}])
    one = [Input("a", Path("a.png"))]
    assert list(prompts_by_input(read_prompts(path), one, source=path)) == ["a"]
    with pytest.raises(DataError, match="names no image, and there are 2"):
        prompts_by_input(read_prompts(path), [*one, Input("b", Path("b.png"))], source=path)


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        (
            PromptedObject(clicks=((20, 3, 1),), place="p:1"),
            r"p:1: click \(20, 3\) lies outside of the image of 20 x 10",
        ),
        (PromptedObject(clicks=((3, -1, 1),), place="p:1"), "lies outside"),
        (PromptedObject(box=(20, 2, 25, 5), place="p:1"), "box .* lies outside"),
        (PromptedObject(box=(1, 2, 5, 5), slice=1, place="p:1"), "slice 1 is not there; the image has 0 to 0"),
    ],
)
def test_prompts_outside_of_the_image_are_refused(wanted: PromptedObject, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        inside([wanted], height=10, width=20, slices=1)


def test_a_box_over_the_border_ends_there_and_a_click_on_the_rim_counts() -> None:
    box, click = inside(
        [PromptedObject(box=(-3, 2, 30, 5)), PromptedObject(clicks=((19.5, -0.5, 1),))], height=10, width=20, slices=1
    )
    assert box.box == (0, 2, 19, 5) and click.clicks == ((19.5, -0.5, 1),)


def test_a_volume_wants_a_slice() -> None:
    with pytest.raises(DataError, match="names no slice; the image has 7: give slice, 0 to 6"):
        inside([PromptedObject(clicks=((1, 1, 1),))], height=10, width=20, slices=7)


def test_a_list_of_boxes_gets_the_names_of_its_numbers_from_another_file(tmp_path: Path) -> None:
    truth = {
        "images": [{"id": 7, "file_name": "slide_a.png"}, {"id": 9, "file_name": "slide_b.png"}],
        "categories": [{"id": 3, "name": "tumour"}],
        "annotations": [],
    }
    names = written(tmp_path, json.dumps(truth), name="names.json")
    boxes = [{"image_id": 9, "category_id": 3, "bbox": [2, 3, 10, 20], "score": 0.75}]
    path = as_json(tmp_path, boxes)
    first, second = read_prompts(path, names=names)
    assert first.wanted is not None and (first.image, first.wanted.category, first.wanted.score) == (
        *("slide_b.png", "tumour"),
        0.75,
    )
    assert (second.image, second.wanted) == ("slide_a.png", None)
    inputs = [Input("slide_a", Path("slide_a.png")), Input("slide_b", Path("slide_b.png"))]
    asked = prompts_by_input([first, second], inputs, source=path)
    assert asked["slide_a"] == [] and len(asked["slide_b"]) == 1
    assert prompts_by_input([first, second], inputs[1:], source=path).keys() == {"slide_b"}
    with pytest.raises(DataError, match="box 1: no image 8"):
        read_prompts(as_json(tmp_path, [{**boxes[0], "image_id": 8}]), names=names)
    with pytest.raises(DataError, match=r"nowhere\.json: not a readable COCO file"):
        read_prompts(path, names=tmp_path / "nowhere.json")
