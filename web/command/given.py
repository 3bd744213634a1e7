"""The flags that every command takes, and the settings they lead to.

Rule: a flag that was not given says nothing; settings are read once, when the command asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from web.settings.sources import LoadedSettings

Pairs = Annotated[tuple[str, ...], Parameter(name="--set", negative="", consume_multiple=False)]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Given:
    """What was given of the common flags."""

    data: Path | None = None
    """Data folder, in place of the one for this user."""
    config: Path | None = None
    """TOML file with settings."""
    set: Pairs = ()
    """NAME=VALUE for any other setting; may be given more than once."""

    def load(
        self, bind: str | None = None, model: str | None = None, *, named: str = "--bind"
    ) -> LoadedSettings:
        """All layers of settings, these flags on top; `bind` was given by the flag `named`."""
        from web.settings.problems import SettingProblem, SettingsError
        from web.settings.sources import Flag, load_settings

        flags = []
        for pair in self.set:
            name, equals, value = pair.partition("=")
            if not equals:
                raise SettingsError(
                    [SettingProblem("--set", pair, "flag --set", "Say NAME=VALUE.")]
                )
            flags.append(Flag("--set", name.strip(), value))
        if self.data is not None:
            flags.append(Flag("--data", "data_dir", self.data))
        if bind is not None:
            flags.append(Flag(named, "bind", bind))
        if model is not None:
            flags.append(Flag("--model", "model", model))
        return load_settings(flags, config=self.config)
