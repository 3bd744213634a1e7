"""Finding the agents that people have written: by the settings, or as an entry point of a package.

    agents = ["my_agents.py:PriceList", "our_package.agents:Weather"]     # in the settings

    [project.entry-points."terzetto.agents"]                              # in a package's own file
    prices = "our_package.agents:PriceList"

Rule: an agent that cannot be used is told at the start, with what is wrong; the system then does not
start, as its person counts on it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from actors.agents.plugin import Plugin, UnusablePlugin, described

GROUP = "terzetto.agents"


def load_plugins(named: Iterable[str]) -> tuple[Plugin, ...]:
    """The agents named in the settings, then those of packages; raises `UnusablePlugin`."""
    found: dict[str, Plugin] = {}
    made = [(origin, _found(origin)) for origin in named]
    made += [(f"{one.name} = {one.value}", _of_package(one)) for one in entry_points(group=GROUP)]
    for origin, one in made:
        agent = described(one, origin)
        if agent.name in found and found[agent.name].make is not agent.make:
            raise UnusablePlugin(f"The agent {origin} has the name {agent.name!r} of another.")
        found[agent.name] = agent
    return tuple(found.values())


def _found(origin: str) -> Any:
    """The class at "FILE.py:NAME" or "MODULE:NAME"."""
    place, colon, name = origin.rpartition(":")
    if not colon or not name.isidentifier():
        raise UnusablePlugin(f'An agent is named like "my_agents.py:MyAgent", and not {origin!r}.')
    try:
        module = _of_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise UnusablePlugin(
            f"The agent {origin} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, name):
        raise UnusablePlugin(f"The agent {origin} cannot be loaded: there is no {name} in it.")
    return getattr(module, name)


def _of_file(path: Path) -> Any:
    path = path.expanduser().absolute()
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    name = f"terzetto_own_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Dataclasses and pydantic look their module up.
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _of_package(point: Any) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise UnusablePlugin(
            f"The agent {point.name} = {point.value} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
