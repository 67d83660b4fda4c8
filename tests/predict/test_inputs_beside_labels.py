"""A folder that holds labels beside its images."""

from pathlib import Path

import pytest

from adapt.errors import DataError
from adapt.predict.inputs import find_inputs
from adapt.recipe import FolderData, MicroscopyData


@pytest.mark.parametrize(
    "data",
    [
        FolderData(kind="folder", root="scans", image_suffix="_img", label_suffix="_masks"),
        MicroscopyData(kind="microscopy", root="scans", image_suffix="_img", label_suffix="_masks"),
    ],
    ids=lambda data: str(data.kind),
)
def test_images_are_what_ends_in_their_suffix_and_labels_are_none(
    tmp_path: Path, data: FolderData | MicroscopyData
) -> None:
    for name in ("a_img.png", "a_masks.png", "b_img.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [(one.name, one.path.name) for one in find_inputs(tmp_path, data)] == [
        ("a", "a_img.png"),
        ("b", "b_img.png"),
    ]
    bare = data.model_copy(update={"image_suffix": "", "label_suffix": "_masks"})
    assert [one.path.name for one in find_inputs(tmp_path, bare)] == ["a_img.png", "b_img.png"]
    with pytest.raises(DataError, match=r"whose names end in data\.image_suffix=_t1"):
        find_inputs(tmp_path, data.model_copy(update={"image_suffix": "_t1"}))
