"""The data engine: which images to look at, what people made of the masks, and whether a round may stay. Pure parts."""

from adapt.engine.gate import Verdict, judge
from adapt.engine.provenance import STAGES, Provenance, Stage
from adapt.engine.ranking import (
    Signals,
    candidate_disagreement,
    rank_images,
    unstable,
    unsure,
    view_disagreement,
)
from adapt.engine.review import Checked, Outcome, check_review
from adapt.engine.time_saved import seconds_saved

__all__ = [
    "STAGES",
    "Checked",
    "Outcome",
    "Provenance",
    "Signals",
    "Stage",
    "Verdict",
    "candidate_disagreement",
    "check_review",
    "judge",
    "rank_images",
    "seconds_saved",
    "unstable",
    "unsure",
    "view_disagreement",
]
