"""The only wiring: from a recipe to segmenter, data, features, task, loggers and trainer; nothing here runs them."""

from adapt.build.concepts import make_vocabulary
from adapt.build.data import (
    make_data,
    make_general_store,
    make_source,
    make_splits,
    make_store,
    named_categories,
    open_store,
    redraw_of,
)
from adapt.build.features import nothing_to_keep, open_features, open_test_features, plan_training_features
from adapt.build.lines import plan_lines, store_lines
from adapt.build.model import as_computed, check_model, make_segmenter, pick_device, tune, tuned_from
from adapt.build.training import (
    count_all_steps,
    count_epochs,
    count_steps,
    is_sharded,
    make_guards,
    make_loggers,
    make_plan,
    make_task,
    make_trainer,
    resume_command,
)

__all__ = [
    "as_computed",
    "check_model",
    "count_all_steps",
    "count_epochs",
    "count_steps",
    "is_sharded",
    "make_data",
    "make_general_store",
    "make_guards",
    "make_loggers",
    "make_plan",
    "make_segmenter",
    "make_source",
    "make_splits",
    "make_store",
    "make_task",
    "make_trainer",
    "make_vocabulary",
    "named_categories",
    "nothing_to_keep",
    "open_features",
    "open_store",
    "open_test_features",
    "pick_device",
    "plan_lines",
    "plan_training_features",
    "redraw_of",
    "resume_command",
    "store_lines",
    "tune",
    "tuned_from",
]
