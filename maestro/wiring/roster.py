"""Every agent there is, as it stands on this machine: installed or not, and whether a login can be seen.

Programs are asked for their version and nothing else: no request is sent and no model is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from maestro.agents.base import Availability, KnowsLogin, Login
from maestro.agents.registry import AGENTS, make_agent
from maestro.config.settings import Settings
from maestro.errors import BadInput
from maestro.model.record import Record
from maestro.wiring.surroundings import environment_of_agent

_NO_PROGRAMS = frozenset({"command", "delegate"})
"""A command line of the user's own, and the session maestro is called from: nothing to look for."""


class Standing(Record):
    """One agent here. `login` None: it needs none, or cannot say."""

    name: str
    availability: Availability
    login: Login | None = None


def chosen_login(settings: Settings, environ: Mapping[str, str]) -> Login | None:
    """Whether a login of the chosen agent can be seen."""
    return _login(settings, settings.agent, environ) if settings.agent not in _NO_PROGRAMS else None


def others(settings: Settings, environ: Mapping[str, str]) -> Iterator[Standing]:
    """The agents that were not chosen, by name. They are asked at the same time, for some take seconds."""
    names = sorted(AGENTS.keys() - _NO_PROGRAMS - {settings.agent})
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        yield from pool.map(lambda name: _look(settings, name, environ), names)


def _look(settings: Settings, name: str, environ: Mapping[str, str]) -> Standing:
    try:
        availability = make_agent(name, settings.agents.get(name, {})).availability(environ)
        login = _login(settings, name, environ) if availability.available else None
    except BadInput as error:
        availability, login = Availability(available=False, detail=error.message, hint=error.hint), None
    return Standing(name=name, availability=availability, login=login)


def _login(settings: Settings, name: str, environ: Mapping[str, str]) -> Login | None:
    agent = make_agent(name, settings.agents.get(name, {}))
    own = environment_of_agent(settings, name, environ)
    return agent.login(own) if isinstance(agent, KnowsLogin) else None
