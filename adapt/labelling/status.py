"""Where a label folder stands: rounds, masks by stage, people's time saved, verdicts."""

from collections import Counter

from adapt.engine import STAGES, Outcome, Provenance, Stage, seconds_saved
from adapt.labelling.project import Project
from adapt.labelling.rounds import Round, rounds_of, write_labels
from adapt.runs import claimed
from adapt.wording import counted, one_line

Counts = Counter[tuple[Stage, Outcome]]


def show_status(project: Project) -> None:
    """Print what each round has brought, and what its verdict is; what trains is put together anew."""
    with claimed(project.root):
        write_labels(project)
    rounds = rounds_of(project)
    for entry in rounds:
        print("\n".join(lines_of(entry)))
    saved = sum(minutes_saved(entry) for entry in rounds if not entry.refused)
    print(f"{counted(len(rounds), 'round')}; about {saved:,.0f} minutes of people saved, by the paper's seconds a mask")


def lines_of(entry: Round) -> list[str]:
    """A round in a few lines."""
    model, counts = entry.facts["model"], count_masks(entry)
    by_stage = {stage: sum(count for (of, _), count in counts.items() if of == stage) for stage in STAGES}
    masks = ", ".join(f"{count:,} {stage}" for stage, count in by_stage.items() if count) or "none"
    changed, added = (
        sum(count for (_, outcome), count in counts.items() if outcome is wanted)
        for wanted in (Outcome.CHANGED, Outcome.ADDED)
    )
    return [
        f"round {entry.number} ({entry.stage}), drawn by {one_line(str(model.get('run') or model['checkpoint']))}",
        f"  {counted(len(entry.sent()), 'picture')}, {len(entry.handed_out()):,} handed out, "
        f"{len(entry.reviewed()):,} back",
        f"  masks: {masks}; by people: {changed:,} changed, {added:,} added",
        f"  about {minutes_saved(entry):,.0f} minutes saved; gate: {verdict_of(entry)}",
    ]


def minutes_saved(entry: Round) -> float:
    """Minutes of people that a round has saved."""
    return seconds_saved(count_masks(entry), first_round="run" not in entry.facts["model"]) / 60


def count_masks(entry: Round) -> Counts:
    """Masks of a round that train, or would if it were not refused, by stage and by what people made of them."""
    counts: Counts = Counter()
    for image, outcomes in entry.labelled().values():
        for one, outcome in zip(image.objects, outcomes, strict=True):
            provenance = Provenance.from_attributes(one.attributes, source=f"{entry.folder}: {image.file_name}")
            counts["manual" if provenance is None else provenance.stage, outcome] += 1
    return counts


def verdict_of(entry: Round) -> str:
    """What the gate says, or what is missing for it."""
    if entry.closed is not None:
        return str(entry.closed["told"])
    if not entry.complete:
        return "being drawn"
    return "open"
