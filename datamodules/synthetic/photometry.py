"""From a painted scene to a photograph of it: optics, light, the sensor's noise, and the file."""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from adapt.datamodules.synthetic.canvas import Field
from adapt.datamodules.synthetic.textures import noise

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Camera:
    """How the images of a family are taken. Chances are 0 to 1; what varies has its largest value here.

    Attributes:
        grey: chance that colours become grey.
        inverted: chance that bright becomes dark.
        blur: standard deviation, in 256ths of the image's side.
        coarse: chance that the image has fewer pixels than it is stored with, down to a fifth of its side.
        uneven: how much brighter and darker the light is in places, as a share.
        dim: the smallest share of the range of values that the image may take up.
        noise: standard deviation, as a share of the range that the image takes up.
        compressed: chance that it was stored as JPEG.
    """

    grey: float
    inverted: float
    blur: float
    coarse: float
    uneven: float
    dim: float
    noise: float
    compressed: float


def photograph(random: np.random.Generator, scene: Field, *, camera: Camera) -> npt.NDArray[np.uint8]:
    """(S, S, 3) uint8 image of a (S, S, C) float32 scene with one channel or three, which may be changed."""
    if scene.shape[2] == 3 and random.random() < camera.grey:
        scene = (scene @ random.dirichlet([4, 6, 3]).astype(np.float32))[..., None]
    scene = _seen_through_optics(random, scene, camera=camera)
    if random.random() < 0.6:
        light = noise(random, scene.shape[:2], scale=scene.shape[0] / random.uniform(0.5, 3))
        scene *= (1 + np.float32(random.uniform(0, camera.uneven)) * light)[..., None]
    np.clip(scene, 0, 1, out=scene)
    if random.random() < camera.inverted:
        scene = 1 - scene
    if random.random() < 0.6:
        scene = _channels(cv2.pow(scene, float(np.exp(random.uniform(-0.5, 0.5)))))
    span = max(random.uniform(camera.dim, 1.3), camera.dim)
    scene = _with_noise(random, scene, strength=camera.noise)
    lowest = random.uniform(0, max(1 - span, 0)) * random.choice([0.1, 1])
    scene = scene * np.float32(255 * min(span, 1.0)) + np.float32(255 * lowest + 0.5)
    image = np.clip(scene, 0, 255).astype(np.uint8)
    if random.random() < camera.compressed:
        quality = int(random.integers(40, 96))
        stored = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded: npt.NDArray[np.uint8] = np.asarray(cv2.imdecode(stored, cv2.IMREAD_UNCHANGED), dtype=np.uint8)
        image = _channels(decoded)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def _seen_through_optics(random: np.random.Generator, scene: Field, *, camera: Camera) -> Field:
    side = scene.shape[0]
    sigma = camera.blur * side / 256 * random.random() ** 2  # most are nearly sharp
    if sigma > 0.3:
        scene = _channels(cv2.GaussianBlur(scene, (0, 0), sigma))
    if random.random() < camera.coarse:
        pixels = max(16, round(side * random.uniform(0.2, 0.7)))
        small = cv2.resize(scene, (pixels, pixels), interpolation=cv2.INTER_AREA)
        enlarge = random.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])
        scene = _channels(cv2.resize(small, (side, side), interpolation=int(enlarge)))
    return scene


def _with_noise(random: np.random.Generator, scene: Field, *, strength: float) -> Field:
    strength *= random.random() ** 2
    if strength < 0.004:  # below one grey value
        return scene
    grain = random.standard_normal(scene.shape, dtype=np.float32)
    if random.random() < 0.3:  # what a sensor or a reconstruction has smeared
        grain = _channels(cv2.GaussianBlur(grain, (0, 0), 0.8)) * np.float32(2)
    match int(random.integers(3)):
        case 0:
            grain *= np.float32(strength)
        case 1:
            grain *= np.float32(1.5 * strength) * np.sqrt(scene)  # counted light: close to Poisson's
        case _:
            grain *= np.float32(2 * strength) * scene  # speckle
    return scene + grain


def _channels(image: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """OpenCV drops the axis of a single channel."""
    return image if image.ndim == 3 else image[..., None]
