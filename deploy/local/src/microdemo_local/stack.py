"""Who talks to whom: URLs, and the environment of each service."""

import hashlib

import msgspec

from microdemo_core.testing.servers import LOOPBACK, SUPERUSER
from microdemo_local.layout import SERVICES, Layout
from microdemo_local.options import Options
from microdemo_local.state import Secrets, State, write_private


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """One home's parts, before any of them runs."""

    layout: Layout
    options: Options
    state: State
    secrets: Secrets
    reload: bool = False

    @property
    def address(self) -> str:
        """The gateway's, without a slash at its end."""
        return f"http://{LOOPBACK}:{self.state.port}"

    @property
    def own_databases(self) -> tuple[str, ...]:
        """The services whose databases live in the PostgreSQL that is started here; may be none."""
        return tuple(service for service in SERVICES if service not in self.options.database_urls)

    @property
    def databases(self) -> str:
        """Tells one choice of databases from another, without their passwords: "own", or a digest of the URLs."""
        urls = msgspec.json.encode(self.options.database_urls, order="sorted")
        return hashlib.sha256(urls).hexdigest() if self.options.database_urls else "own"

    def instances(self, service: str) -> list[str]:
        return [f"{service}-{number}" for number in range(1, self.state.replicas + 1)]

    def instance_address(self, instance: str) -> str:
        return f"{LOOPBACK}:{self.state.port_of(instance)}"

    def superuser_url(self) -> str:
        password, port = self.secrets.superuser_password, self.state.port_of("postgres")
        return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{port}/postgres"

    def database_url(self, service: str) -> str:
        named = self.options.database_urls.get(service)
        if named:
            return named
        password, port = self.secrets.database_passwords[service], self.state.port_of("postgres")
        return f"postgresql://{service}:{password}@{LOOPBACK}:{port}/{service}db"

    @property
    def redis_url(self) -> str:
        """Without a database's number."""
        if self.options.redis_url:
            return self.options.redis_url
        return f"redis://:{self.secrets.redis_password}@{LOOPBACK}:{self.state.port_of('valkey')}"

    def service_url(self, service: str) -> str:
        """Where other services find it: its one instance, or nginx in front of several (a cluster's Service)."""
        part = service if self.state.replicas > 1 else f"{service}-1"
        return f"http://{LOOPBACK}:{self.state.port_of(part)}"

    def environment(self, service: str) -> dict[str, str]:
        """All that the service is told."""
        told = {
            "ENVIRONMENT": "local",
            "DATABASE_URL": self.database_url(service),
            "REDIS_URL": f"{self.redis_url}/{SERVICES.index(service)}",
            "JWT_SECRET_KEY": self.secrets.jwt_secret_key,
        }
        if service == "orders":
            told |= {"USERS_URL": self.service_url("users"), "INVENTORY_URL": self.service_url("inventory")}
        if self.options.log_level:
            told["LOG_LEVEL"] = self.options.log_level
        return told

    def demo_environment(self) -> dict[str, str]:
        """What the seeder is told."""
        urls = {f"{service.upper()}_DATABASE_URL": self.database_url(service) for service in SERVICES}
        return {"ENVIRONMENT": "local", "REDIS_URL": self.redis_url, **urls}

    def write_environments(self) -> None:
        """For `uv run --env-file .local/env/users.env users`."""
        environments = {service: self.environment(service) for service in SERVICES}
        for name, told in (environments | {"demo": self.demo_environment()}).items():
            lines = [f"{key}='{value}'\n" for key, value in told.items()]
            write_private(self.layout.env / f"{name}.env", "".join(lines))
