"""What the small encoders are built of: convolutions with a batch norm behind each."""

from torch import Tensor, nn


class FrozenBatchNorm(nn.BatchNorm2d):
    """Normalises by the statistics that it was pretrained with, in training as well, and leaves them as they are.

    A prefix of the encoder that does not train must give the same numbers in every step: they are kept.
    """

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        """Stays in evaluation; weight and bias can train all the same."""
        super().train(mode=False)
        return self


class ConvNorm(nn.Module):
    """A convolution without bias, and its norm: (B, C, h, w) to (B, C', h / stride, w / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = FrozenBatchNorm(outputs)

    def forward(self, grid: Tensor) -> Tensor:
        """See the class."""
        normed: Tensor = self.norm(self.conv(grid))
        return normed
