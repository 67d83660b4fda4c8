"""Settings of `demo`: where the page is served, how large images are shown, and how much is kept."""

from pydantic import Field

from adapt.recipe.settings import Settings


class DemoSettings(Settings):
    """The local page of `demo`."""

    port: int = Field(7860, ge=0, le=65535, description="Of 127.0.0.1, where the page is served; 0 takes a free one.")
    shown_pixels: int = Field(
        1024,
        ge=128,
        le=4096,
        description="Longer side that images are shown at; masks that are saved have the image's own size.",
    )
    encoded_images: int = Field(
        16, ge=1, description="Images whose features are kept; what was looked at longest ago is encoded again."
    )
    tabs: int = Field(
        8, ge=1, description="Tabs of the browser whose images stay open; what was used longest ago is closed first."
    )
