"""From `[keys.<provider>]` to where a run's agents get their keys (A-6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError

from maestro.clock import Clock
from maestro.config.settings import Count, Settings, Text, Texts
from maestro.errors import BadInput
from maestro.model.offer import DELEGATE
from maestro.model.record import Record
from maestro.resources.apikeys import ApiKey, read_keys
from maestro.resources.providers import OF_AGENT, PROVIDERS, Provider

if TYPE_CHECKING:
    from maestro.model.events import Event
    from maestro.resources.keysource import KeySource

_PACKAGE = "aiohttp"


def _one_rate_is_a_list(value: Any) -> Any:
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


class PoolOptions(Record):
    """`[keys.<provider>]`."""

    from_env: Texts = ()
    command: Text | None = None
    per_minute: Annotated[tuple[Count, ...], BeforeValidator(_one_rate_is_a_list)] = ()
    gateway: Annotated[bool, Field(strict=True)] = False
    upstream: Text | None = None


class Pool(NamedTuple):
    """One provider's pool, read and checked."""

    provider: Provider
    keys: tuple[ApiKey, ...]
    rates: tuple[int | None, ...]
    gateway: bool
    upstream: str
    is_placed: bool  # the upstream was configured for the pool itself
    variables: tuple[str, ...]  # in which an agent looks for its key
    withheld: frozenset[str]


def open_pools(settings: Settings, environ: Mapping[str, str]) -> tuple[Pool, ...]:
    """The pools the agent of these settings can use. BadInput where one cannot work; runs the commands for keys."""
    if settings.agent == DELEGATE:  # the subagents of a session have that session's login
        return ()
    options = {name: pool_options(name, given) for name, given in settings.key_pools.items()}
    wanted = OF_AGENT.get(settings.agent)
    withheld = frozenset(name for one in options.values() for name in one.from_env)
    return tuple(
        _open(PROVIDERS[name], one, settings, environ, withheld)
        for name, one in options.items()
        if wanted is None or name == wanted
    )


def withheld_from_run(settings: Settings, pools: Sequence[Pool]) -> frozenset[str]:
    """Variables that nothing a run starts may inherit: those of all pools, also of such as its agent does not use."""
    named = {name for given, one in settings.key_pools.items() for name in pool_options(given, one).from_env}
    return frozenset(named).union(*(pool.withheld for pool in pools))


def pool_options(provider: str, given: Mapping[str, Any]) -> PoolOptions:
    """BadInput for an unknown provider or option; what was given is not shown, for it may be a key."""
    if provider not in PROVIDERS:
        raise BadInput(
            f"[keys.{provider}]: there is no such provider", hint=f"known providers: {', '.join(sorted(PROVIDERS))}"
        )
    try:
        return PoolOptions.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0])
        known = ", ".join(PoolOptions.model_fields)
        if first["type"] == "extra_forbidden":
            raise BadInput(f"[keys.{provider}] has no option of that name", hint=f"known options: {known}") from None
        raise BadInput(
            f"[keys.{provider}]: {where} cannot be so: {first['msg'].lower()}", hint="see docs/keys.md"
        ) from None


def _open(
    provider: Provider, options: PoolOptions, settings: Settings, environ: Mapping[str, str], withheld: frozenset[str]
) -> Pool:
    if options.gateway and find_spec(_PACKAGE) is None:
        raise BadInput(
            f"the gateway needs the Python package {_PACKAGE}, which is not installed",
            hint="install it with: pip install 'flow-maestro[gateway]'; or set gateway = false",
        )
    keys = read_keys(provider.name, options.from_env, options.command, environ)
    own = settings.agents.get(settings.agent, {})
    variables = (*provider.key_variables, *([str(own["env_key"])] if own.get("env_key") else []))
    return Pool(
        provider=provider,
        keys=keys,
        rates=_rates(provider.name, options.per_minute, len(keys)),
        gateway=options.gateway,
        upstream=_upstream(provider, options, own, environ),
        is_placed=options.upstream is not None,
        variables=tuple(dict.fromkeys(variables)),
        withheld=withheld | {*provider.other_logins, *variables},
    )


def _rates(provider: str, given: tuple[int, ...], count: int) -> tuple[int | None, ...]:
    if not given:
        return (None,) * count
    if len(given) == 1:
        return given * count
    if len(given) != count:
        raise BadInput(
            f"[keys.{provider}]: per_minute has {len(given)} numbers for {count} keys",
            hint="give one number for all keys, or one for each, in order",
        )
    return given


def _upstream(provider: Provider, options: PoolOptions, own: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """What is configured for the pool, else for the agent, else for its client, else the provider itself."""
    given = options.upstream or own.get("base_url") or environ.get(provider.url_variable) or provider.upstream
    try:
        parts = urlsplit(str(given))
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or parts.username is not None:
        raise BadInput(
            f"[keys.{provider.name}]: the upstream is no base URL",
            hint=f"such as {provider.upstream}, nothing behind it",
        )
    return str(given).rstrip("/")


def variables_of(pools: Sequence[Pool]) -> dict[str, str]:
    """What an agent will find in its environment, by name alone: enough to see whether it can work so."""
    names = {name: "from the pool of keys" for pool in pools for name in pool.variables}
    return names | {pool.provider.url_variable: "http://127.0.0.1" for pool in pools if pool.gateway or pool.is_placed}


def source_of(
    pools: Sequence[Pool],
    *,
    family: str,
    folder: Path,
    environ: Mapping[str, str],
    clock: Clock,
    record: Callable[[Event], Awaitable[object]],
) -> KeySource | None:
    """Where the attempts of a run get their keys; None where no pool is configured for its agent."""
    from maestro.resources.keysource import KeyForEach, SeveralSources  # not wanted before a run begins

    sources: list[KeySource] = []
    for pool in pools:
        if not pool.gateway:
            place = (pool.provider.url_variable, pool.upstream) if pool.is_placed else None
            sources.append(
                KeyForEach(pool.keys, variables=pool.variables, withheld=pool.withheld, clock=clock, place=place)
            )
            continue
        from maestro.gateway.contract import HeldKey  # most runs have no gateway
        from maestro.gateway.keys import GatewayKeys

        held = [
            HeldKey(value=key.value, origin=key.origin, per_minute=rate)
            for key, rate in zip(pool.keys, pool.rates, strict=True)
        ]
        sources.append(
            GatewayKeys(
                pool.provider,
                held,
                upstream=pool.upstream,
                variables=pool.variables,
                withheld=pool.withheld,
                family=family,
                folder=folder,
                environ=environ,
                clock=clock,
                record=record,
            )
        )
    if len(sources) > 1:
        return SeveralSources(sources)
    return sources[0] if sources else None
