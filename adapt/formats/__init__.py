"""Readers and writers, one file a format; pure, without Lightning. Errors name the file and the remedy."""

from adapt.formats.dicom import read_dicom_series
from adapt.formats.image import read_image, read_label_map
from adapt.formats.intensity import integral, percentile_range, to_uint8
from adapt.formats.nifti import read_nifti, write_nifti
from adapt.formats.rle import decode_masks, encode_masks
from adapt.formats.volume import Volume, normalise_orientation, same_geometry

__all__ = [
    "Volume",
    "decode_masks",
    "encode_masks",
    "integral",
    "normalise_orientation",
    "percentile_range",
    "read_dicom_series",
    "read_image",
    "read_label_map",
    "read_nifti",
    "same_geometry",
    "to_uint8",
    "write_nifti",
]
