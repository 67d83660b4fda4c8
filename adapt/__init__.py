"""Fine-tune Segment Anything on your own domain, and measure by how much it got better."""

__version__ = "0.1.0"
