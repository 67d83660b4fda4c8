"""Who is trained on and who is tested on, and how training images are augmented."""

from pydantic import Field, model_validator

from adapt.recipe.settings import Settings, Share


class SplitSettings(Settings):
    """How groups (patients, scenes, slides) fall into train, validation and test. A group never straddles."""

    validation: Share = Field(0.15, description="Share of groups for validation; rounded, at least one if > 0.")
    test: Share = Field(0.25, description="Share of groups for test; rounded, at least one if > 0.")
    validation_groups: list[str] = Field([], description="Groups that are validation whatever the share.")
    test_groups: list[str] = Field([], description="Groups that are test whatever the share.")

    @model_validator(mode="after")
    def _leaves_training(self) -> "SplitSettings":
        if self.validation + self.test >= 1:
            raise ValueError(f"validation ({self.validation}) + test ({self.test}) must stay below 1")
        both = sorted(set(self.validation_groups) & set(self.test_groups))
        if both:
            raise ValueError(f"groups named for both validation and test: {', '.join(both)}")
        return self


class AugmentSettings(Settings):
    """The chance of each augmentation of a training image; masks follow the geometry. None by default."""

    horizontal_flip: Share = Field(0.0, description="Left becomes right.")
    vertical_flip: Share = Field(0.0, description="Top becomes bottom.")
    rotate90: Share = Field(0.0, description="A turn by 0, 90, 180 or 270 degrees.")
    transpose: Share = Field(0.0, description="Rows become columns.")
    rotate: Share = Field(0.0, description="Rotation by up to 20 degrees.")
    scale: Share = Field(0.0, description="Scaling by 0.8 to 1.25 and shift by up to 10 %.")
    elastic: Share = Field(0.0, description="Elastic deformation (alpha 30, sigma 6 px).")
    brightness_contrast: Share = Field(0.0, description="Brightness and contrast by up to 20 %.")
    gamma: Share = Field(0.0, description="Gamma from 0.8 to 1.25.")
    noise: Share = Field(0.0, description="Gaussian noise, standard deviation 2 to 8 % of the range.")
    blur: Share = Field(0.0, description="Gaussian blur, 3 to 5 px kernel.")
    clahe: Share = Field(0.0, description="Contrast-limited adaptive histogram equalisation.")
