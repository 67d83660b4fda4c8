"""Images that are drawn, with exact masks, to pretrain a promptable model from nothing."""

from adapt.datamodules.synthetic.source import redraw, synthetic_source

__all__ = ["redraw", "synthetic_source"]
