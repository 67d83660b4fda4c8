"""Findings about groups: names that may mean one patient, too few of them, and images that occur twice. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from adapt.datacheck.findings import Finding
from adapt.datamodules import Splits
from adapt.wording import LISTED, counted, listed

FEW_TEST_GROUPS = 5
"""An interval over fewer test groups says little: resampling 4 groups has only 35 outcomes."""
STEM_PATTERNS = tuple(rf"^([_. /-]*[^_. /-]+(?:[_. /-]+[^_. /-]+){{0,{more}}})" for more in range(4))
"""The first part of a name (`P01_series2_slice3`), or the first two to four (`case_07_left`). The shortest that tells
several things apart is proposed: too coarse a group costs some groups, too fine a one leaks."""
SEVERAL_STEMS = 3
"""Stems without a number may be places (`austin`, `vienna`, `tyrol`), but two are more often `train` and `val`."""
ROLES = {"train", "training", "val", "valid", "validation", "test", "testing", "image", "img"}
"""Stems that say what a file is for, not what it shows."""
GROUP_KEYS = "data.group_pattern, or data.group_column of a Hub data set"
NEARLY_ALL = 0.9
"""A stem of more of the names than this is the name of the data set."""


def names_alike(groups: Iterable[str]) -> list[Finding]:
    """Groups whose names are the same but for case and separators: `Patient-01` and `patient_01`."""
    alike = defaultdict(list)
    for name in sorted(set(groups)):
        alike[re.sub(r"[\W_]+", "", name).casefold()].append(name)
    twins = [names for names in alike.values() if len(names) > 1]
    if not twins:
        return []
    text = (
        f"{counted(len(twins), 'name')} written in several ways: {listed([' = '.join(names) for names in twins])}. "
        "They count as different groups, so one patient, scene or slide could be in training and in test; rename "
        f"them, or set {GROUP_KEYS}, to what is the same"
    )
    return [Finding("names_alike", "warning", text, tuple(name for names in twins for name in names))]


def shared_stems(groups: Iterable[str]) -> list[Finding]:
    """Groups that differ in the end of their names only, as slices or tiles of one thing do, without a pattern.

    Numbered names alone (`case_001`, `case_002`) say nothing: their one stem tells no things apart.
    """
    names = sorted(set(groups))
    for pattern in STEM_PATTERNS:
        members = defaultdict(list)
        for name in names:
            match = re.search(pattern, name)
            members[match[1] if match else name].append(name)
        shared = {stem: found for stem, found in members.items() if len(found) > 1 and stem.casefold() not in ROLES}
        if any(len(found) > NEARLY_ALL * len(names) for found in shared.values()):
            continue
        numbered = [stem for stem in shared if any(letter.isdigit() for letter in stem)]
        if shared and (numbered or len(members) >= SEVERAL_STEMS):
            alike = numbered or sorted(shared)
            text = (
                f"{counted(sum(len(shared[stem]) for stem in alike), 'group')} share the stem of their names with "
                f"others ({listed(shared[alike[0]])}). If that is one patient, scene or slide, set "
                f"data.group_pattern='{pattern}', which makes {counted(len(members), 'group')} of {len(names):,}; "
                "if not, '^(.+)$' says that each is its own"
            )
            return [Finding("shared_stems", "warning", text, tuple(name for stem in alike for name in shared[stem]))]
    return []


def few_test_groups(splits: Splits, *, whole_scenes: bool) -> list[Finding]:
    """Too few test groups for an interval that says something.

    Args:
        splits: of the groups.
        whole_scenes: groups are scenes or mosaics that could be cut into blocks.
    """
    if len(splits.test) >= FEW_TEST_GROUPS:
        return []
    remedy = "cut scenes into blocks with data.split_by=block" if whole_scenes else "raise split.test"
    text = (
        f"{counted(len(splits.test), 'test group')}: with fewer than {FEW_TEST_GROUPS} the interval of the result is "
        f"wide or missing, so a gain can hardly be told from chance; add groups, or {remedy}"
    )
    return [Finding("few_test_groups", "warning", text, splits.test)]


def duplicates(images: Sequence[tuple[str, str, str]], split_of: Mapping[str, str]) -> list[Finding]:
    """Images of the same pixels: in two splits, in two groups of one split, or in one group.

    Args:
        images: sample id, group and hash of the pixels of each.
        split_of: group to its split; empty if there is no split.
    """
    same = defaultdict(list)
    for sample_id, group, key in images:
        same[key].append((sample_id, group))
    copies: dict[str, list[list[tuple[str, str]]]] = {"splits": [], "groups": [], "none": []}
    for sets in same.values():
        if len(sets) > 1:
            groups = {group for _, group in sets}
            crossed = len({split_of.get(group) for group in groups}) > 1
            copies["splits" if crossed else "groups" if len(groups) > 1 else "none"].append(sets)
    found = []
    if twice := copies["splits"]:
        text = (
            f"{counted(len(twice), 'image')} in more than one split ({_pairs(twice, split_of)}): the test figures "
            f"would be too good. Remove the copies, or give them one group: {GROUP_KEYS}"
        )
        found.append(Finding("duplicate_across_splits", "error", text, _names(twice), "same image in another split"))
    if twice := copies["groups"]:
        text = (
            f"{counted(len(twice), 'image')} in more than one group ({_pairs(twice, {})}): another seed would put them "
            f"into different splits. Remove the copies, or give them one group: {GROUP_KEYS}"
        )
        found.append(Finding("duplicate_across_groups", "warning", text, _names(twice), "same image in another group"))
    if twice := copies["none"]:
        text = f"{counted(len(twice), 'image')} more than once in a group ({_pairs(twice, {})}); the copies count twice"
        found.append(Finding("duplicate_in_group", "note", text, _names(twice)))
    return found


def _names(sets: Sequence[Sequence[tuple[str, str]]]) -> tuple[str, ...]:
    return tuple(sample_id for found in sets for sample_id, _ in found)


def _pairs(sets: Sequence[Sequence[tuple[str, str]]], split_of: Mapping[str, str]) -> str:
    texts = []
    for found in sets:
        named = [f"{name} ({split_of[group]})" if group in split_of else name for name, group in found[:LISTED]]
        texts.append(" = ".join([*named, "…"] if len(found) > LISTED else named))
    return listed(texts)
