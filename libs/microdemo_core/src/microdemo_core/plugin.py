"""The kernel as a Litestar plugin: a service names itself and its parts, and the rest comes from here."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.enums import HttpMethod
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware.base import DefineMiddleware
from litestar.params import ParameterKwarg
from litestar.plugins import InitPlugin, ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute

from microdemo_core.auth.guards import GUARDS
from microdemo_core.auth.middleware import BearerAuthentication
from microdemo_core.auth.tokens import TokenSigner, TokenVerifier
from microdemo_core.bodies import requires_json_body
from microdemo_core.cache import Cache
from microdemo_core.clients import Peer
from microdemo_core.db import Database, Migrations, create_engine, provide_page
from microdemo_core.deadline import RequestDeadline
from microdemo_core.dependencies import provide_arguments, provide_principal, provide_unit_of_work
from microdemo_core.edge import RequestEdge
from microdemo_core.errors import exception_handlers
from microdemo_core.health import Health, HealthController, Version
from microdemo_core.logs import configure_logging
from microdemo_core.openapi import lift_security, openapi_config
from microdemo_core.settings import Settings

__all__ = ("KernelPlugin",)


class KernelPlugin(InitPlugin, ReceiveRoutePlugin):
    """Settings, database, cache, tokens, peers, errors, health, metrics, logs and OpenAPI for one service.

    Handlers may ask for ``uow``, ``principal``, ``page``, ``cache``, ``database``, ``signer``, ``settings`` and, by
    its name, for each peer. Any route without a guard of the kernel's or ``opt=PUBLIC`` stops the boot; so does a
    query parameter that has a dependency's name.

    Args:
        settings: Read once, at boot.
        name: The service's: its tokens' audience, its models' bind key, its name in logs and keys.
        migrations: The folder that holds ``versions/``.
        peers: Base URL and deadline in seconds of each service this one calls.
    """

    def __init__(
        self, settings: Settings, *, name: str, migrations: Path, peers: Mapping[str, tuple[str, float]] | None = None
    ) -> None:
        self.settings = settings
        self.name = name
        self.cache = Cache(settings.redis_url, service=name, timeout_seconds=settings.redis_timeout_seconds)
        self.database = Database(create_engine(settings, application_name=name), self.cache)
        self.migrations = Migrations(name, migrations)
        self.verifier = TokenVerifier(settings.jwt_secret_key, audience=name)
        self.signer = TokenSigner(settings.jwt_secret_key, issuer=name)
        self.peers = {peer: Peer(peer, url, timeout_seconds=seconds) for peer, (url, seconds) in (peers or {}).items()}
        self.version = Version(name, _version_of(f"microdemo-{name}"), settings.commit)
        self.health = Health(self.version, self.database, self.migrations, self.cache)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        configure_logging(self.name, self.settings.log_level)
        app_config.logging_config = None
        app_config.exception_handlers = {**exception_handlers(), **app_config.exception_handlers}
        app_config.middleware = [
            RequestDeadline(self.settings.request_timeout_seconds),
            DefineMiddleware(BearerAuthentication, verifier=self.verifier),
            *app_config.middleware,
        ]
        app_config.guards = [*app_config.guards, requires_json_body]
        app_config.dependencies = {**self._dependencies(), **app_config.dependencies}
        app_config.route_handlers.append(HealthController)
        app_config.openapi_config = openapi_config(title=f"microdemo {self.name}", version=self.version.version)
        app_config.state.update({"health": self.health, "database": self.database})
        app_config.lifespan.append(self._lifespan)
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Raises: ImproperlyConfiguredException for a handler open by mistake, or a parameter with two meanings."""
        handlers: list[BaseRouteHandler] = (
            [*route.route_handlers] if isinstance(route, HTTPRoute) else [route.route_handler]  # type: ignore[attr-defined]  # each other kind has one
        )
        for handler in handlers:
            _refuse_unguarded(route.path, handler)
            _refuse_ambiguous(route.path, handler)
        lift_security(route)

    def _dependencies(self) -> dict[str, Provide]:
        def constant(value: Any) -> Provide:
            return Provide(lambda: value, use_cache=True, sync_to_thread=False)

        shared = {
            "settings": self.settings,
            "database": self.database,
            "cache": self.cache,
            "signer": self.signer,
            **self.peers,
        }
        return {
            "arguments": Provide(provide_arguments),
            "uow": Provide(provide_unit_of_work),
            "principal": Provide(provide_principal),
            "page": Provide(provide_page),
            **{name: constant(value) for name, value in shared.items()},
        }

    @asynccontextmanager
    async def _lifespan(self, app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self.database.close)
            closing.push_async_callback(self.cache.aclose)
            for peer in self.peers.values():
                closing.push_async_callback(peer.aclose)
            inner = app.asgi_handler
            closing.callback(setattr, app, "asgi_handler", inner)
            app.asgi_handler = RequestEdge(inner)
            yield


def _refuse_unguarded(path: str, handler: BaseRouteHandler) -> None:
    methods = ", ".join(sorted(getattr(handler, "http_methods", ())))
    if methods == HttpMethod.OPTIONS:
        return  # Litestar's own; it lists the methods and reads nothing
    guards = {getattr(guard, "func", guard) for guard in handler.resolve_guards()}
    if not handler.opt.get("public") and not guards & GUARDS:
        raise ImproperlyConfiguredException(
            f"{methods or 'any'} {path} has no guard; give it one of "
            f"{', '.join(sorted(guard.__name__ for guard in GUARDS))}, or opt=PUBLIC"
        )
    if HttpMethod.OPTIONS in methods:
        raise ImproperlyConfiguredException(f"{methods} {path}: OPTIONS asks for no token, so Litestar must answer it")


def _refuse_ambiguous(path: str, handler: BaseRouteHandler) -> None:
    """Litestar would take the dependency, and never look at the request."""
    for name in handler.resolve_dependencies():
        field = handler.parsed_fn_signature.parameters.get(name)
        if field is not None and isinstance(field.kwarg_definition, ParameterKwarg) and not field.is_di_field:
            raise ImproperlyConfiguredException(
                f"{path}: {handler} has a parameter {name!r}, which is a dependency's name too; call it otherwise and "
                f"give it QueryParameter(name={name!r})"
            )


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "0"
