"""Concepts of SAM 3: all objects of a phrase, learnt on a team's own categories. Questions, assignment, loss."""

from adapt.concepts.losses import ConceptLosses, ConceptWeights, Wanted, concept_losses
from adapt.concepts.matching import Assigned, MatchCosts, assign
from adapt.concepts.questions import (
    ConceptObjective,
    Question,
    Vocabulary,
    answers_loss,
    questions_of,
    wanted_of,
    words_for,
)
from adapt.concepts.validation import found_ious, validated

__all__ = [
    "Assigned",
    "ConceptLosses",
    "ConceptObjective",
    "ConceptWeights",
    "MatchCosts",
    "Question",
    "Vocabulary",
    "Wanted",
    "answers_loss",
    "assign",
    "concept_losses",
    "found_ious",
    "questions_of",
    "validated",
    "wanted_of",
    "words_for",
]
