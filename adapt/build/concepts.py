"""From the categories of data to what a model of concepts is asked."""

from adapt.build.data import redraw_of
from adapt.concepts import Vocabulary, words_for
from adapt.datamodules import Store
from adapt.datamodules.classes import categories_of
from adapt.errors import RecipeError
from adapt.recipe import Recipe
from adapt.segmenters import PromptableSegmenter
from adapt.text import PhraseReader, read_phrases
from adapt.wording import listed


def make_vocabulary(recipe: Recipe, segmenter: PromptableSegmenter, store: Store) -> Vocabulary | None:
    """What images are asked for in training; None for a recipe whose objects are prompted.

    Raises:
        RecipeError: the images are drawn anew for each epoch, so that nobody knows their categories; or two
            categories would be asked for by the same words.
        CheckpointError: the tokenizer is not there.
        DataError: a category has no name, or too long a one.
    """
    if not recipe.concepts.learn:
        return None
    if redraw_of(recipe.data) is not None:
        raise RecipeError("concepts.learn reads the words for all categories once, so that data.fresh cannot be true")
    names = categories_of(store)
    words = words_for(names, recipe.text.phrases)
    same = sorted({phrase for phrase in words if words.count(phrase) > 1})
    if same:
        raise RecipeError(
            f"text.phrases asks for several categories by the same words ({listed(same)}), which could not be told "
            "apart; give each its own, or make one category of them in the data section"
        )
    reader = PhraseReader(recipe.model.checkpoint, revision=recipe.model.revision)
    return Vocabulary(tuple(names), read_phrases(segmenter, reader, words))
