"""One image's way through a network, cut into what needs the network and what other threads can do meanwhile.

The inference thread is shared, and the network is what all wait for. So that it waits for nothing itself, the
first input is made before its thread is asked for, and what the last output means is worked out after it has
been given back. Small images need one run, and so nothing in that thread but that run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from itertools import count
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np

from omniview.core.geometry import View
from omniview.core.image import Array, FloatArray, UInt8Array
from omniview.inference.card import SpecialistCard
from omniview.inference.tensors import Prepared, to_nchw
from omniview.inference.worker import Ticket
from omniview.specialists.views import Pool, Pooled, affordable, grouped, joined, probability

__all__ = ["Course", "Network", "bytes_ahead"]


class Network(Protocol):
    """A loaded network, ready to run."""

    @property
    def provider(self) -> str:
        """Where it really runs."""
        ...

    @property
    def fallback(self) -> str | None:
        """Why it does not run where it was asked to, or None."""
        ...

    @property
    def variant(self) -> tuple[str, str] | None:
        """(what is special, SHA-256) of the weights that run, where they are not the card's own."""
        ...

    @property
    def batch(self) -> int:
        """The most inputs of one run."""
        ...

    @property
    def draws(self) -> int:
        """How many answers the same input is worth; 1 unless something is left to chance."""
        ...

    def run(self, inputs: FloatArray, ticket: Ticket, draw: int = 0) -> Sequence[Array]:
        """(N,C,h,w) float32 to all of its outputs, maps (N,K,h,w) first.

        Args:
            inputs: at most `batch` of them.
            ticket: of the work that this is part of.
            draw: which of an image's runs this is: it seeds what is left to chance.

        Raises:
            InferenceError: it failed.
        """
        ...


class _Turn(NamedTuple):
    """One run that the network is to make: (N,C,h,w) float32, and which of the image's runs it is."""

    inputs: FloatArray
    draw: int
    last: bool


def bytes_ahead(prepared: Prepared, network: Network, views: tuple[View, ...]) -> int:
    """How much memory the first run's input takes, with the views that it is made from; at most."""
    group = grouped(prepared.inputs, affordable(views, len(prepared.inputs) * network.draws))[0]
    looks = len(prepared.inputs) * len(group)
    # uint8 of all of them, and float32 of those that fit into one run
    return prepared.inputs.nbytes // len(prepared.inputs) * (looks + 4 * min(network.batch, looks))


class Course:
    """An image's way through a network: begun in one thread, run in another, ended in a third, in this order.

    Args:
        prepared: the image as the network sees it.
        network: that is to see it.
        views: to look through, as many of the first as are affordable.
        view_seconds: how long all of them together may take; the first is always looked through. None: any
            time. Where it is limited, no time may pass before `run`.
        card: the model card.

    Attributes:
        prepared: as given.
        network: as given.
        affordable: how many views the size of the image allows.
    """

    def __init__(
        self,
        prepared: Prepared,
        network: Network,
        views: tuple[View, ...],
        view_seconds: float | None,
        card: SpecialistCard,
    ) -> None:
        self.prepared = prepared
        self.network = network
        self._views = affordable(views, len(prepared.inputs) * network.draws)
        self.affordable = len(self._views)
        self._view_seconds = view_seconds
        self._card = card
        self._pool = Pool()
        self._strange: list[FloatArray] = []
        self._numbers = count()
        self._steps = self._all_views()
        self._turn: _Turn | None = next(self._steps)
        self._said: Sequence[Array] = ()
        self._unheard = False
        """Whether the last that the network said is still to be made sense of."""

    def run(self, ticket: Ticket) -> None:
        """All that needs the network.

        Raises:
            InferenceError: the network failed, or gave what its card does not say.
        """
        while self._turn is not None:
            ticket.check()
            self._said = self.network.run(self._turn.inputs, ticket, self._turn.draw)
            # what the network has seen is let go of: several images may wait for their end
            self._unheard, self._turn = self._turn.last, None
            if not self._unheard:
                self._turn = self._next()

    def end(self) -> tuple[Pooled, FloatArray | None]:
        """What the samples say together, on the network's grid, and the novelty of the first view's inputs.

        That is (N,1) float32, or None where the network tells none. To be asked for once.

        Raises:
            InferenceError: the network gave what its card does not say.
        """
        if self._unheard:
            self._next()
        told = np.concatenate(self._strange)[: len(self.prepared.inputs)] if self._strange else None
        return self._pool.result(), told

    def _next(self) -> _Turn | None:
        """The run after the one that was made; None: it was the last."""
        try:
            return self._steps.send(self._said)
        except StopIteration:
            return None

    def _all_views(self) -> Generator[_Turn, Sequence[Array], None]:
        """Yields every run, and is sent what the network said."""
        views, draws = self._views, self.network.draws
        rest = views
        if self._view_seconds is not None:
            start = perf_counter()
            yield from self._through(views[:1], last=len(views) * draws == 1)
            lasted = perf_counter() - start
            # no more are begun than should be done in time, if each takes as long as the first
            views = views[: max(1, int(self._view_seconds / draws / max(lasted, 1e-9)))]
            rest = views[1:]
        for draw in range(draws):
            groups = grouped(self.prepared.inputs, views if draw else rest)
            for place, group in enumerate(groups, 1):
                yield from self._through(group, last=draw == draws - 1 and place == len(groups))

    def _through(self, views: tuple[View, ...], *, last: bool) -> Generator[_Turn, Sequence[Array], None]:
        """Looks through some views together; `last`: no others follow."""
        spec, parts = self.prepared.spec, []
        # nothing is kept here of what has had its turn, nor of all views once the last of them has it
        left = _cut(joined([view.apply(self.prepared.inputs) for view in views]), self.network.batch)
        while left:
            outputs = yield _Turn(to_nchw(left.popleft(), spec), next(self._numbers), last and not left)
            parts.append(probability(outputs[0], self._card.output, self._card.name))
            self._strange.extend(outputs[1:])
            del outputs
        for view, maps in zip(views, np.split(joined(parts), len(views)), strict=True):
            self._pool.add(view.inverse(maps))


def _cut(pixels: UInt8Array, batch: int) -> deque[UInt8Array]:
    """Pieces of at most `batch` along the first axis, in order, without a copy."""
    return deque(pixels[start : start + batch] for start in range(0, len(pixels), batch))
