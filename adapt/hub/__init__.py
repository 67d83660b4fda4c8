"""The Hugging Face Hub: what a repository holds, its card, one commit, and the way back."""

from adapt.hub.card import card_text, loading_code
from adapt.hub.facts import Asked, CardFacts, asked
from adapt.hub.loaded import check_loaded
from adapt.hub.package import ADAPTER_FILES, MARKER, PICTURES, Identity, check_adapter, check_plain, write_package
from adapt.hub.portable import is_hub_id, portable_recipe, portable_results
from adapt.hub.pulling import read_pushed, write_recipe, write_start
from adapt.hub.repository import check_content, check_login, commit, find

__all__ = [
    "ADAPTER_FILES",
    "MARKER",
    "PICTURES",
    "Asked",
    "CardFacts",
    "Identity",
    "asked",
    "card_text",
    "check_adapter",
    "check_content",
    "check_loaded",
    "check_login",
    "check_plain",
    "commit",
    "find",
    "is_hub_id",
    "loading_code",
    "portable_recipe",
    "portable_results",
    "read_pushed",
    "write_package",
    "write_recipe",
    "write_start",
]
