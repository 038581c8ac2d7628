"""The doubtful regions of a case as a person goes through them, and the words for where they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from omniview.core.case import Case
from omniview.core.doubt_regions import Claim, DoubtRegion
from omniview.core.fusion import Fusion

__all__ = ["Tour"]

_CLAIMS = {
    Claim.SPECIALIST: "mostly the specialist's",
    Claim.OMNIMODEL: "mostly the omnimodel's",
    Claim.NOBODY: "unsure rather than disputed",
}


@dataclass(frozen=True, slots=True, eq=False)
class Tour:
    """Where a person is among the doubtful regions.

    Attributes:
        fusion: the result that they belong to.
        regions: the weightiest first; none where nothing stands out.
        at: index of the one that is looked at.
    """

    fusion: Fusion
    regions: tuple[DoubtRegion, ...]
    at: int = 0

    def of(self, case: Case | None) -> bool:
        """Whether it still belongs to what is on screen."""
        return case is not None and case.fusion is self.fusion

    def step(self, by: int) -> Tour:
        """The tour so many regions further, round and round."""
        return replace(self, at=(self.at + by) % max(len(self.regions), 1))

    @property
    def region(self) -> DoubtRegion | None:
        """The region that is looked at."""
        return self.regions[self.at] if self.regions else None

    def text(self) -> str:
        """Where in the tour: `2 of 5 doubtful regions: 0.8 % of the image, mostly the omnimodel's`."""
        if self.region is None:
            return "No region stands out as doubtful"
        count = len(self.regions)
        regions = "doubtful region" + ("s" if count > 1 else "")
        percent = 100 * self.region.share
        share = f"{percent:.1f}" if percent >= 0.1 else "less than 0.1"
        return f"{self.at + 1} of {count} {regions}: {share} % of the image, {_CLAIMS[self.region.claim]}"
