"""Every error that OmniView raises on purpose.

    OmniViewError              a cause and a next step, both in words for a person
    ├── InputError             what was opened cannot be used
    │   ├── UnreadableFile     missing, corrupt, truncated, or of an unknown kind
    │   ├── SizeMismatch       a mask of another size than its image
    │   └── OutputError        results could not be written (full disk, no permission, name taken)
    │       └── AnotherRun     the results are of a run that this is not the continuation of
    ├── SettingsError          a setting, option or environment variable breaks a rule
    ├── ModelError             a local model cannot run
    │   ├── CardError          its card is incomplete or contradicts the network
    │   ├── WeightsError       its weights are missing or are not those that the card names
    │   └── InferenceError     it failed while running
    └── OmnimodelError         no usable answer from an omnimodel
        ├── NotAllowed         offline, or no consent: nothing left this machine
        ├── NotAsked           not worth asking by the person's own rule: nothing left this machine
        ├── OverBudget         a spending cap is reached: nothing left this machine
        ├── MissingKey         no API key
        ├── Unreachable        refused, cut, timed out, rate-limited, or the server failed
        ├── Blocked            the provider declined to answer (safety, policy)
        └── UnusableAnswer     an answer came, but there is no mask in it

Anything else that escapes is a defect of OmniView.
"""

from __future__ import annotations

__all__ = [
    "AnotherRun",
    "Blocked",
    "CardError",
    "InferenceError",
    "InputError",
    "MissingKey",
    "ModelError",
    "NotAllowed",
    "NotAsked",
    "OmniViewError",
    "OmnimodelError",
    "OutputError",
    "OverBudget",
    "SettingsError",
    "SizeMismatch",
    "Unreachable",
    "UnreadableFile",
    "UnusableAnswer",
    "WeightsError",
]


class OmniViewError(Exception):
    """Something went wrong that a person can act on.

    Args:
        message: the cause, one sentence, no keys, no patient data.
        next_step: what the person can do about it; empty if nothing.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class InputError(OmniViewError):
    """What was opened cannot be used."""


class UnreadableFile(InputError):
    """Missing, corrupt, truncated, or of an unknown kind."""


class SizeMismatch(InputError):
    """A mask of another size than its image."""


class OutputError(InputError):
    """Results could not be written."""


class AnotherRun(OutputError):
    """The results are of a run that this is not the continuation of."""


class SettingsError(OmniViewError):
    """A setting, option or environment variable breaks a rule."""


class ModelError(OmniViewError):
    """A local model cannot run."""


class CardError(ModelError):
    """A model card is incomplete or contradicts its network."""


class WeightsError(ModelError):
    """Weights are missing or are not those that the card names."""


class InferenceError(ModelError):
    """A local model failed while running."""


class OmnimodelError(OmniViewError):
    """No usable answer from an omnimodel.

    Attributes:
        cost: what asking cost all the same, in `currency`; None where it is not known, or nobody was asked.
        currency: ISO 4217 code of `cost`.
    """

    cost: float | None = None
    currency: str | None = None


class NotAllowed(OmnimodelError):
    """Offline, or no consent: nothing left this machine."""


class NotAsked(OmnimodelError):
    """The person's own rule says that this case is not worth asking about: nothing left this machine."""


class OverBudget(OmnimodelError):
    """A spending cap is reached: nothing left this machine."""


class MissingKey(OmnimodelError):
    """No API key."""


class Unreachable(OmnimodelError):
    """Refused, cut, timed out, rate-limited, or the server failed."""


class Blocked(OmnimodelError):
    """The provider declined to answer."""


class UnusableAnswer(OmnimodelError):
    """An answer came, but there is no mask in it."""
