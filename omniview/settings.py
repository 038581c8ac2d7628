"""What a person has chosen, frozen: a TOML file under OmniView's home, overridden by the environment.

API keys are never part of it: they live in the environment or in the operating system's keyring.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from omniview.errors import OutputError, SettingsError

__all__ = [
    "AirlockSettings",
    "AskSettings",
    "BudgetSettings",
    "Device",
    "FetchSettings",
    "GeminiSettings",
    "MaskStyle",
    "Omnimodel",
    "OpenAiSettings",
    "Precision",
    "Settings",
    "api_key",
    "home",
    "key_source",
    "overridden",
]

Omnimodel: TypeAlias = Literal["none", "builtin", "gemini", "openai", "sam"]
MaskStyle: TypeAlias = Literal["png", "polygon", "picture"]
Device: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt"]
Precision: TypeAlias = Literal["auto", "fp32", "int8"]

_KEY_VARIABLES = {"gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "openai": ("OPENAI_API_KEY",)}
_OFFLINE_VARIABLE = "OMNIVIEW_OFFLINE"
_URL_VARIABLES = {"gemini": "GOOGLE_GEMINI_BASE_URL", "openai": "OPENAI_BASE_URL"}
_MIRROR_VARIABLE = "OMNIVIEW_MIRROR"
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


def home() -> Path:
    """Where settings, models, consents and logs live: `OMNIVIEW_HOME`, else the platform's own place.

    Raises:
        SettingsError: nobody says where this person's files belong, as in a container without a HOME.
    """
    if chosen := os.environ.get("OMNIVIEW_HOME"):
        return Path(chosen)
    import platformdirs

    try:
        return Path(platformdirs.user_data_dir("omniview", appauthor=False))
    except RuntimeError as error:
        raise SettingsError(
            "There is no home folder to keep settings and models in.",
            "Set OMNIVIEW_HOME (or HOME) to a folder of your own.",
        ) from error


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GeminiSettings(_Frozen):
    """How Gemini is asked. Model ids move, so nothing about one is built in elsewhere.

    Attributes:
        model: model id as the API has it.
        api_version: version of the REST interface.
        base_url: another endpoint, e.g. a loopback server or a hospital's proxy; None for Google's own.
        vertex_project: id of a Google Cloud project: asks through its Vertex AI, signed in by Google's
            application default credentials instead of an API key.
        vertex_location: where Vertex AI computes, e.g. "europe-west4"; None for "global".
        timeout_s: deadline of one call in seconds, retries included.
        mask_style: how masks are asked for; whatever comes is decoded by its content.
        thinking_level: for models of the 3.x family; excludes `thinking_budget`.
        thinking_budget: for models of the 2.5 family, in tokens; 0 turns thinking off.
        max_side: longer side in pixels of the picture that is sent.
        max_output_tokens: limit of one answer; too small a limit truncates masks.
    """

    model: str = "gemini-3-flash-preview"
    api_version: str = "v1beta"
    base_url: str | None = None
    # both end up in addresses
    vertex_project: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9.:-]*$")
    vertex_location: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]*$")
    timeout_s: float = Field(default=60.0, gt=0, le=600)
    mask_style: MaskStyle = "png"
    thinking_level: str | None = None
    thinking_budget: int | None = Field(default=None, ge=-1)
    max_side: int = Field(default=1024, ge=64, le=4096)
    max_output_tokens: int = Field(default=32768, ge=256)

    @model_validator(mode="before")
    @classmethod
    def _prices_have_moved(cls, values: Any) -> Any:
        if isinstance(values, dict) and {"price_in", "price_out"} & values.keys():
            raise ValueError(
                "price_in and price_out are in prices.toml beside this file now, as [[model]] with match, in "
                "and out"
            )
        return values

    @field_validator("vertex_location")
    @classmethod
    def _of_a_project(cls, location: str | None, info: object) -> str | None:
        # a wish for a region must not end at another interface, which has none
        if location is not None and getattr(info, "data", {}).get("vertex_project") is None:
            raise ValueError("set vertex_project too")
        return location

    @field_validator("thinking_budget")
    @classmethod
    def _one_way_of_thinking(cls, budget: int | None, info: object) -> int | None:
        # the API answers 400 if both are sent
        if budget is not None and getattr(info, "data", {}).get("thinking_level") is not None:
            raise ValueError("set thinking_level or thinking_budget, not both")
        return budget


class OpenAiSettings(_Frozen):
    """How an OpenAI-compatible server is asked: OpenAI's own, Ollama, vLLM, llama.cpp and the like.

    Attributes:
        model: model id as the server has it.
        base_url: the interface's address, version included; None for OpenAI's own.
        timeout_s: deadline of one call in seconds, retries included.
        reasoning_effort: for models that take it, e.g. "low"; None leaves it out of the request.
        max_side: longer side in pixels of the picture that is sent.
        max_output_tokens: limit of one answer; too small a limit truncates masks.
        mask_style: how masks are asked for; whatever comes is decoded by its content.
    """

    model: str = "gpt-5"
    base_url: str | None = None
    timeout_s: float = Field(default=120.0, gt=0, le=600)
    reasoning_effort: str | None = None
    max_side: int = Field(default=1024, ge=64, le=4096)
    max_output_tokens: int = Field(default=16384, ge=256)
    mask_style: MaskStyle = "polygon"


class AirlockSettings(_Frozen):
    """What may leave this machine, and in what state.

    Attributes:
        burned_in_text: what happens to text in the pixels: it is blacked out, the picture is refused, or
            it is sent as it is.
        trusted: literal hosts or networks (10.0.0.0/8) of one's own institution.
    """

    burned_in_text: Literal["blackout", "refuse", "keep"] = "blackout"
    trusted: tuple[str, ...] = ()


class AskSettings(_Frozen):
    """When the omnimodel is asked at all.

    Attributes:
        when: for every case; only for those whose predicted Dice of the specialist is below `below`; never.
        below: predicted Dice in [0,1].
        informed: show it what the specialist found; its agreement then says nothing about quality.
    """

    when: Literal["always", "doubtful", "never"] = "always"
    below: float = Field(default=0.75, ge=0, le=1)
    informed: bool = False


class BudgetSettings(_Frozen):
    """What omnimodels may cost, in the price table's currency.

    Attributes:
        session: cap of one run of the program or one batch; None for no cap.
        daily: cap of one day (UTC), over all runs; None for no cap.
    """

    session: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    daily: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class FetchSettings(_Frozen):
    """How weights that do not ship are fetched.

    Attributes:
        mirror: an address, or a folder (or file://), that takes the place of the host in every card; nothing
            else is asked then.
        proxy: address of the proxy; None: as the environment says (HTTPS_PROXY, NO_PROXY, ...).
        timeout_s: how long a server may be silent, seconds.
    """

    mirror: str | None = Field(default=None, min_length=1)
    proxy: str | None = Field(default=None, pattern=r"^(https?|socks5h?)://")
    timeout_s: float = Field(default=30.0, gt=0, le=600)


class Settings(_Frozen):
    """Everything that can be chosen.

    Attributes:
        omnimodel: who gives the second opinion.
        offline: no socket is opened at all.
        answers: how often a cloud omnimodel is asked for one image.
        views: test-time augmentations of the specialist; 1 is fastest.
        view_seconds: after the first view only as many more as fit into so many seconds; 0 for no limit.
        device: where local models run; "auto" takes CUDA where it really runs.
        precision: numbers that specialists compute with on a CPU; "auto" takes int8 where a card has it and
            the CPU is made for it.
        threads: threads of one inference; 0 leaves one core to the window.
        cache_mb: size limit of the answers kept on disk so that nothing is paid for twice; 0 keeps none.
        gemini: how Gemini is asked.
        openai: how an OpenAI-compatible server is asked.
        airlock: what may leave this machine.
        ask: when the omnimodel is asked at all.
        budget: what omnimodels may cost.
        fetch: how weights that do not ship are fetched.
        specialists: task name to the name of the model that is to be its specialist; for tasks that are not
            named, the last of the person's own cards by file name, else what ships.
    """

    omnimodel: Omnimodel = "builtin"
    offline: bool = False
    answers: int = Field(default=3, ge=1, le=16)
    views: int = Field(default=8, ge=1, le=8)
    view_seconds: float = Field(default=0.0, ge=0, le=3600)
    device: Device = "auto"
    precision: Precision = "auto"
    threads: int = Field(default=0, ge=0, le=256)
    cache_mb: int = Field(default=256, ge=0, le=65536)
    gemini: GeminiSettings = GeminiSettings()
    openai: OpenAiSettings = OpenAiSettings()
    airlock: AirlockSettings = AirlockSettings()
    ask: AskSettings = AskSettings()
    budget: BudgetSettings = BudgetSettings()
    fetch: FetchSettings = FetchSettings()
    specialists: Mapping[str, str] = Field(default_factory=dict)

    def __hash__(self) -> int:
        """Worker processes keep models by their settings; pydantic's own hash trips over a mapping."""
        return hash(self.model_dump_json())

    @classmethod
    def load(cls, folder: Path | None = None, *, environment: bool = True) -> Self:
        """Settings of `folder` (default: `home()`), with the environment on top unless that is not wanted.

        Raises:
            SettingsError: the file is not TOML, or a value breaks a rule; the message names it.
        """
        path = (folder or home()) / "settings.toml"
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            values = {}
        except NotADirectoryError as error:
            raise SettingsError(
                f"OmniView's home {path.parent} is not a folder.", "Set OMNIVIEW_HOME to one."
            ) from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(
                f"The settings file {path} cannot be read ({error}).", "Mend or delete it."
            ) from error
        offline = os.environ.get(_OFFLINE_VARIABLE) if environment else None
        if offline is not None:
            if offline.lower() not in _TRUE | _FALSE:
                # an unclear wish for privacy must not end in a connection
                raise SettingsError(f"OMNIVIEW_OFFLINE is {offline!r}.", "Set it to 1 or 0.")
            values["offline"] = offline.lower() in _TRUE
        for name, variable in _URL_VARIABLES.items() if environment else ():
            if url := os.environ.get(variable):
                table = values.setdefault(name, {})
                if isinstance(table, dict):  # anything else is refused below, by name
                    table["base_url"] = url
        if environment and (mirror := os.environ.get(_MIRROR_VARIABLE)):
            table = values.setdefault("fetch", {})
            if isinstance(table, dict):
                table["mirror"] = mirror
        return cls._checked(values, str(path))

    def changed(self, **values: object) -> Self:
        """The same settings with some values replaced and checked.

        Raises:
            SettingsError: a value breaks a rule.
        """
        return self._checked({**self.model_dump(), **values}, "what was asked for")

    def save(self, folder: Path | None = None) -> None:
        """Write the TOML file, whole or not at all.

        Raises:
            OutputError: it could not be written.
        """
        import tomli_w

        path = (folder or home()) / "settings.toml"
        part = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(tomli_w.dumps(self.model_dump(exclude_none=True)), "utf-8")
            part.replace(path)
        except OSError as error:
            raise OutputError(
                f"The settings could not be saved ({error.strerror}).", f"Make {path.parent} writable."
            ) from error

    @classmethod
    def _checked(cls, values: dict[str, object], source: str) -> Self:
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            wrong = first["msg"].removeprefix("Value error, ")  # pydantic's, before words of our own
            raise SettingsError(
                f"The setting {where} in {source} is not valid: {wrong}.", "Correct or remove it."
            ) from error


def overridden() -> dict[str, str]:
    """Settings that the environment decides, such as `gemini.base_url`, and the variable that does."""
    found = {f"{name}.base_url": variable for name, variable in _URL_VARIABLES.items()}
    found = {"offline": _OFFLINE_VARIABLE, "fetch.mirror": _MIRROR_VARIABLE, **found}
    return {name: variable for name, variable in found.items() if os.environ.get(variable)}


def key_source(provider: str) -> Literal["environment", "keyring", ""]:
    """Where the key of a provider comes from; empty where there is none. Blocks like `api_key`."""
    if any(os.environ.get(variable, "").strip() for variable in _KEY_VARIABLES[provider]):
        return "environment"
    return "keyring" if api_key(provider) else ""


def api_key(provider: str) -> str | None:
    """The key of a provider from the environment, else from the OS keyring; None if there is none.

    Blocks while the keyring asks a person to unlock it: call it off the UI thread.
    """
    for variable in _KEY_VARIABLES[provider]:
        if key := os.environ.get(variable, "").strip():
            return key
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password("omniview", provider) or None
    except (KeyringError, OSError, RuntimeError):
        # no keyring service, or no home folder that it could look into: the same as no key
        return None
