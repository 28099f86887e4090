"""What `serve` says when it listens: to a person a few lines, to a log one event with the same facts."""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click
import structlog

from roadstead import __version__
from roadstead.cli.terminal import say
from roadstead.config.display import masked
from roadstead.config.settings import Settings

PASSWORD_FILE = "initial-admin-password"  # noqa: S105 - a file's name

log = structlog.get_logger(__name__)


class FirstRun(Protocol):
    """What `wiring.prepare` did."""

    @property
    def created(self) -> bool: ...
    @property
    def admin_username(self) -> str: ...
    @property
    def admin_password(self) -> str | None:
        """Set only when it was generated in this start."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """How a client on this machine, or the first of those outside, reaches the registry."""

    # "localhost:5000", as it stands in the name of an image.
    name: str
    url: str


class Announcement:
    """Made before the server starts, told when it listens.

    A generated password is in a file from the first moment, so a start that fails loses nothing.  It leaves
    the file when a person has been shown it.
    """

    def __init__(self, settings: Settings, first_run: FirstRun) -> None:
        self._settings = settings
        self._first_run = first_run
        self.password_file = settings.data / PASSWORD_FILE
        if first_run.admin_password is not None:
            _write_secret(self.password_file, first_run.admin_password)

    def tell(self, port: int | None) -> None:
        """Say that the registry listens, on `port` or on a Unix socket."""
        address = address_of(self._settings, port)
        if sys.stderr.isatty() and self._settings.log.format != "json":
            for line in banner(self._settings, self._first_run, address):
                say(line)
            if self._first_run.admin_password is not None:
                self.password_file.unlink(missing_ok=True)
        else:
            self.log(address)

    def log(self, address: Address) -> None:
        settings = self._settings
        log.info(
            "registry.ready",
            version=__version__,
            url=address.url,
            data=str(settings.data),
            database=masked(settings.database_url),
            storage=str(settings.blobs_folder),
            first_run=self._first_run.created,
        )
        if self.password_file.exists():
            # Not called a password: the log leaves out what sounds like a secret.
            log.info("admin.first_sign_in", user=self._first_run.admin_username, file=str(self.password_file))
        for warning in warnings(settings):
            log.warning("registry.exposed", reason=warning)


def banner(settings: Settings, first_run: FirstRun, address: Address) -> list[str]:
    """The lines for a terminal: a screenful at the first start, one at the next."""
    title = click.style(f"Roadstead {__version__}", bold=True)
    if not first_run.created:
        lines = [f"{title} on {address.url}, data in {shown_path(settings.data)}"]
        kept = settings.data / PASSWORD_FILE
        if kept.exists():
            lines.append(f"  The first password of {first_run.admin_username} is in {shown_path(kept)}")
        return [*lines, *_warning_lines(settings)]
    lines = [
        f"{title} is ready{'':<20}(first run: created {shown_path(settings.data)})",
        "",
        f"  Registry  {address.name:<22}docker login {address.name}",
        "",
    ]
    if first_run.admin_password is not None:
        password = click.style(first_run.admin_password, bold=True)
        lines += [
            f"  Sign in as {first_run.admin_username} with   {password}",
            f"  Shown once. To change it: roadstead user reset-password {first_run.admin_username}",
            "",
        ]
    blobs = settings.blobs_folder
    lines.append(f"  Storage   {shown_path(blobs)} ({_free(blobs)} free)")
    lines.append(f"  Database  {_shown_database(settings)}")
    if settings.unix_socket is None and settings.tls.certificate is None and is_loopback(settings.host):
        lines.append("  Note      plain HTTP on loopback only. To serve others: roadstead serve --help")
    return [*lines, "", *_warning_lines(settings)]


def warnings(settings: Settings) -> list[str]:
    """What is dangerous about where this server listens.  Said at every start."""
    if settings.unix_socket is not None or settings.tls.certificate is not None or settings.external_urls:
        return []
    if is_loopback(settings.host):
        return []
    return [f"passwords and images go unencrypted to whoever reaches this server on {settings.host}"]


def _warning_lines(settings: Settings) -> list[str]:
    lines = []
    for warning in warnings(settings):
        lines += [
            click.style("Warning:", fg="yellow", bold=True) + f" {warning}.",
            "  Do    one of these:",
            "        - give it a certificate: --tls-certificate FILE --tls-key FILE",
            "        - put a reverse proxy with TLS in front, and name its address: --external-url https://…",
            "        - listen on this machine only: --host 127.0.0.1",
            "",
        ]
    return lines


def address_of(settings: Settings, port: int | None) -> Address:
    if settings.external_urls:
        url = settings.external_urls[0]
        return Address(url.partition("://")[2], url)
    if settings.unix_socket is not None:
        return Address(str(settings.unix_socket), f"unix:{settings.unix_socket}")
    host = "localhost" if is_loopback(settings.host) or _is_any(settings.host) else settings.host
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if settings.tls.certificate else "http"
    return Address(f"{host}:{port or settings.port}", f"{scheme}://{host}:{port or settings.port}")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _write_secret(path: Path, secret: str) -> None:
    """Where only this account can read it."""
    # A file of that name that somebody left here is not written through: it may be a link, or readable.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")


def shown_path(path: Path) -> str:
    """Relative to the working directory where that is shorter."""
    absolute = path.absolute()
    try:
        return f"./{absolute.relative_to(Path.cwd())}"
    except ValueError:
        return str(absolute)


def _shown_database(settings: Settings) -> str:
    url = settings.database_url
    return shown_path(Path(url.removeprefix("sqlite:///"))) if url.startswith("sqlite:///") else masked(url)


def _free(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return size_in_words(shutil.disk_usage(folder).free)


def size_in_words(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
