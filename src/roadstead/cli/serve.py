"""`roadstead serve`: the whole registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from roadstead.cli.commands import command
from roadstead.cli.options import data_options, load_settings, setting_option

# Where an option is not called like its setting.
FLAGS = {"external_urls": "--external-url"}


@command(
    "serve",
    examples=[
        ("A registry on localhost:5000, in ./roadstead-data", "roadstead serve"),
        ("Another folder and port", "roadstead serve --data /srv/roadstead --port 5001"),
        (
            "For others, with a certificate",
            "roadstead serve --host 0.0.0.0 --port 443 --tls-certificate server.pem --tls-key server.key",
        ),
        (
            "Behind a reverse proxy on the same machine",
            "roadstead serve --external-url https://registry.example.com",
        ),
        ("As a configuration file says", "roadstead serve --config roadstead.yaml"),
    ],
)
@data_options
@setting_option("--host", "host", "Address to listen on.", metavar="ADDRESS")
@setting_option("--port", "port", "Port to listen on.", metavar="NUMBER")
@setting_option("--workers", "workers", "Worker processes; 0 is one for each core.", metavar="NUMBER")
@setting_option("--unix-socket", "unix_socket", "Listen on this socket instead.", metavar="PATH")
@setting_option("--tls-certificate", "tls.certificate", "Certificate and its chain, PEM.", metavar="FILE")
@setting_option("--tls-key", "tls.key", "Private key of the certificate, PEM.", metavar="FILE")
@setting_option(
    "--tls-client-ca", "tls.client_ca", "Demand client certificates of these, PEM.", metavar="FILE"
)
@setting_option(
    "--external-url",
    "external_urls",
    "Address that clients use; may be repeated.",
    metavar="URL",
    multiple=True,
)
@setting_option(
    "--trusted-proxy",
    "http.trusted_proxies",
    "Reverse proxy or network whose X-Forwarded headers are believed; may be repeated.",
    metavar="ADDRESS",
    multiple=True,
)
@setting_option("--log-format", "log.format", "auto, console or json.", metavar="FORMAT")
@setting_option("--log-level", "log.level", "debug, info, warning or error.", metavar="LEVEL")
def serve(config_file: Path | None, **options: Any) -> int:
    """Start the registry.

    Without options it makes ./roadstead-data with a database, a folder for blobs, a project "library" and an
    administrator, whose password is printed once, and listens on localhost:5000.

    ROADSTEAD_ADMIN_PASSWORD, or ROADSTEAD_ADMIN_PASSWORD_FILE, sets the administrator's password at the first
    start; then nothing is printed.
    """
    loaded = load_settings(config_file, options, {**FLAGS, "http.trusted_proxies": "--trusted-proxy"})
    from roadstead import wiring
    from roadstead.app import create_app
    from roadstead.cli.first_run import Announcement
    from roadstead.server import run
    from roadstead.telemetry import logs

    settings = loaded.settings
    logs.configure(settings.log)
    announcement = Announcement(settings, wiring.prepare(settings))
    return run.serve(
        settings, create_app, ready=lambda listening: announcement.tell(urlsplit(listening.address).port)
    )


def parameter_names() -> frozenset[str]:
    """The settings that have an option here, by dotted name; for the tests."""
    options = (option for option in serve.params if isinstance(option, click.Option))
    return frozenset((option.name or "").replace("__", ".") for option in options) - {"config_file"}
