"""Readers and writers, one file a format; pure, without Lightning. Errors name the file and the remedy."""

from adapt.formats.coco import CocoImage, CocoObject, rasterise, read_coco
from adapt.formats.crops import Box, crops, decode_crops, encode_crops
from adapt.formats.dicom import read_dicom_series
from adapt.formats.image import decode_image, decode_label_map, read_image, read_label_map
from adapt.formats.intensity import integral, label_values, narrowest, percentile_range, to_uint8
from adapt.formats.itk import read_itk, write_itk
from adapt.formats.nifti import read_nifti, write_nifti
from adapt.formats.rle import decode_masks, encode_masks, encode_part
from adapt.formats.volume import Volume, normalise_orientation, same_geometry
from adapt.formats.yolo import YoloObject, outline_polygons, read_yolo_labels, read_yolo_names

__all__ = [
    "Box",
    "CocoImage",
    "CocoObject",
    "Volume",
    "YoloObject",
    "crops",
    "decode_crops",
    "decode_image",
    "decode_label_map",
    "decode_masks",
    "encode_crops",
    "encode_masks",
    "encode_part",
    "integral",
    "label_values",
    "narrowest",
    "normalise_orientation",
    "outline_polygons",
    "percentile_range",
    "rasterise",
    "read_coco",
    "read_dicom_series",
    "read_image",
    "read_itk",
    "read_label_map",
    "read_nifti",
    "read_yolo_labels",
    "read_yolo_names",
    "same_geometry",
    "to_uint8",
    "write_itk",
    "write_nifti",
]
