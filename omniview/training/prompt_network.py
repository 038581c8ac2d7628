"""The generalist's networks: two halves that look once and answer often, and one that follows clicks.

:class:`PromptEncoder` sees the image once and :class:`PromptDecoder` answers without prompts from what it
kept. A click that enters only a decoder can move an edge but hardly the idea of what is there, so prompts
are answered by :class:`ClickNetwork`, into whose encoder they enter early; it is small enough to run whole at
each click.

Sources: U-Net (Ronneberger 2015), FiLM conditioning (Perez 2018), encoder/decoder split for prompts (SAM,
Kirillov 2023), clicks and the previous mask fused early (RITM, Sofiiuk 2021).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (as torch itself writes it)
from torch import Tensor, nn

from omniview.training.network import ENCODER_CHANNELS, SKIP_CHANNELS, Lite0Encoder, conv_norm, twice

PROMPT_MAPS = 4


class PromptEncoder(nn.Module):
    """The generalist's half that sees the image once: Lite0 features at strides 2, 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Lite0Encoder()
        self.bottleneck = conv_norm(ENCODER_CHANNELS, 128, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """``(N,3,H,W)`` to five maps of 16, 24, 40, 112 and 128 channels, finest first."""
        *skips, x = self.encoder(image)
        return (*skips, self.bottleneck(x))


class PromptDecoder(nn.Module):
    """The generalist's half that runs per prompt: a U-Net decoder that sees the prompts at every scale.

    ``prompts (N,4,S,S)``: positive clicks, negative clicks, box, prior mask, as maps in [0,1], all zero when
    there are none. ``task (N,T)``: one-hot, which scales and shifts (FiLM) every level.
    """

    widths = (128, 64, 48, 32)

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.enter = conv_norm(128 + PROMPT_MAPS, 128)
        inputs = 128
        ups: list[nn.Module] = []
        films: list[nn.Module] = [_film(tasks, 128)]
        for width, skip in zip(self.widths, reversed(SKIP_CHANNELS), strict=True):
            ups.append(conv_norm(inputs + skip + PROMPT_MAPS, width))
            films.append(_film(tasks, width))
            inputs = width
        self.ups = nn.ModuleList(ups)
        self.films = nn.ModuleList(films)
        self.refine = conv_norm(inputs, inputs)
        self.head = nn.Conv2d(inputs, 1, 1)

    def forward(
        self, s2: Tensor, s4: Tensor, s8: Tensor, s16: Tensor, s32: Tensor, prompts: Tensor, task: Tensor
    ) -> Tensor:
        """Logits ``(N,1,S,S)``."""
        # The largest value survives pooling, so a small click is still seen at stride 32.
        pyramid = [F.max_pool2d(prompts, 2)]
        for _ in range(4):
            pyramid.append(F.max_pool2d(pyramid[-1], 2))
        x = self._condition(self.enter(torch.cat([s32, pyramid[4]], 1)), 0, task)
        for index, (up, skip) in enumerate(zip(self.ups, (s16, s8, s4, s2), strict=True)):
            x = self._condition(up(torch.cat([twice(x), skip, pyramid[3 - index]], 1)), index + 1, task)
        return twice(self.head(self.refine(x)))

    def _condition(self, x: Tensor, level: int, task: Tensor) -> Tensor:
        scale, shift = self.films[level](task)[:, :, None, None].chunk(2, 1)
        conditioned: Tensor = x * (1.0 + scale) + shift
        return conditioned


def _film(tasks: int, width: int) -> nn.Linear:
    layer = nn.Linear(tasks, 2 * width)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class ClickNetwork(nn.Module):
    """Image, prompts and task to a mask in one pass; prompts enter at stride 4, before all deep features.

    The stem and the first three blocks know nothing of prompts: in training they are frozen and run once for
    several rounds of clicks (:meth:`look`, then :meth:`answer`). What the prompts add starts at zero, so that
    the network begins as the two halves that it is made from.
    """

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.encoder_half = PromptEncoder()
        self.decoder_half = PromptDecoder(tasks)
        width = SKIP_CHANNELS[1]
        last = nn.Conv2d(width, width, 1)
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        self.entry = nn.Sequential(
            conv_norm(PROMPT_MAPS, 16, 3, 2), conv_norm(16, width, 3, 2), conv_norm(width, width), last
        )

    def forward(self, image: Tensor, prompts: Tensor, task: Tensor) -> Tensor:
        """``(N,3,S,S)``, ``(N,4,S,S)``, one-hot ``(N,T)`` to logits ``(N,1,S,S)``."""
        return self.answer(*self.look(image), prompts, task)

    def look(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """``(N,3,S,S)`` to the maps at strides 2 and 4, which do not depend on prompts."""
        s2, s4 = self.encoder_half.encoder.early(image)
        return s2, s4

    def answer(self, s2: Tensor, s4: Tensor, prompts: Tensor, task: Tensor) -> Tensor:
        """Logits ``(N,1,S,S)`` from what :meth:`look` gave."""
        told = s4 + self.entry(prompts)
        s8, s16, deepest = self.encoder_half.encoder.late(told)
        s32 = self.encoder_half.bottleneck(deepest)
        logits: Tensor = self.decoder_half(s2, told, s8, s16, s32, prompts, task)
        return logits
