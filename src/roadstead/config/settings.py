"""The settings, as small frozen models.  The comment above a field is its documentation.

`roadstead config explain` and `config.example.yaml` are made from these comments and defaults; a test keeps
them equal.  Everything here is a value: reading files and the environment is `config/loading.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from roadstead.config import rules

# Numbers end where a clock or a column of the database would: a year, and a billion.
_YEAR = 366 * 86_400
_BILLION = 1_000_000_000
Seconds = Annotated[float, Field(gt=0, le=_YEAR, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0, le=_BILLION)]
Count = Annotated[int, Field(gt=0, le=_BILLION)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsSettings(Section):
    # PEM file with the server's certificate, followed by the rest of its chain.
    certificate: Path | None = None
    # PEM file with the private key of the certificate. Empty: it is in the certificate's file.
    key: Path | None = None
    # PEM file with the authorities that client certificates must come from. Setting it demands a client
    # certificate.
    client_ca: Path | None = None
    # Oldest TLS version accepted.
    minimum_version: Literal["1.2", "1.3"] = "1.2"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.certificate is None and (self.key is not None or self.client_ca is not None):
            raise ValueError("needs a certificate when key or client_ca is set")
        return self


class HttpSettings(Section):
    # How long a client may take to send a request's head, in seconds.
    header_timeout: Seconds = 10.0
    # How long an idle connection stays open between requests, in seconds.
    keep_alive_timeout: Seconds = 75.0
    # Longest request head accepted (request line and headers together), in bytes.
    max_header_bytes: Bytes = 32 * 1024
    # Most header lines accepted in a request.
    max_headers: Count = 100
    # A body that comes slower than this, measured over `body_grace`, is refused, in bytes a second. 0
    # allows any speed.
    min_body_rate: Annotated[int, Field(ge=0)] = 1024
    # How long a body may be slower than `min_body_rate`, in seconds.
    body_grace: Seconds = 30.0
    # A client that takes nothing of a response for this long is cut off, in seconds.
    write_timeout: Seconds = 120.0
    # Most connections a worker keeps open. More are answered 503.
    max_connections: Count = 10_000
    # How long a stopping server lets running requests go on, in seconds.
    drain_timeout: Seconds = 30.0
    # Addresses or networks of reverse proxies whose X-Forwarded-For, -Proto and -Host are believed; `unix`
    # for one that comes through the Unix socket.
    trusted_proxies: tuple[Annotated[str, AfterValidator(rules.proxy)], ...] = ()


class DatabaseSettings(Section):
    # sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME. Empty: SQLite in the data folder.
    url: Annotated[SecretStr, AfterValidator(rules.database_url)] = SecretStr("")
    # Bring the schema up to date when the server starts. If false, a server with an old schema refuses to
    # start.
    auto_migrate: bool = True
    # Most PostgreSQL connections that one worker holds.
    pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    # How long to wait for a free connection, or for SQLite's write lock, in seconds.
    pool_timeout: Seconds = 30.0


class FilesystemSettings(Section):
    # Folder for the blobs. Empty: `blobs` in the data folder.
    rootdirectory: Path | None = None


class StorageSettings(Section):
    # Kind of store.
    driver: Literal["filesystem"] = "filesystem"
    # Options of the `filesystem` driver.
    filesystem: FilesystemSettings = FilesystemSettings()


class RegistrySettings(Section):
    # The project that a repository name of one component belongs to.
    default_project: Annotated[str, AfterValidator(rules.project_name)] = "library"
    # Create a project on the first push to it, when the caller may create projects.
    create_projects_on_push: bool = True
    # Who may create projects: every signed-in user, or administrators only.
    project_creation: Literal["everyone", "administrators"] = "administrators"
    # Largest manifest accepted, in bytes. The specification asks for 4 MiB at least.
    max_manifest_bytes: Annotated[int, Field(ge=4 * 1024 * 1024, le=64 * 1024 * 1024)] = 4 * 1024 * 1024
    # Largest blob accepted, in bytes. 0 is no limit.
    max_blob_bytes: Annotated[int, Field(ge=0)] = 0
    # Smallest chunk, other than the last, that a chunked upload should send, in bytes. 0 asks for none.
    chunk_min_length: Annotated[int, Field(ge=0)] = 0
    # An upload untouched for this long is abandoned, in seconds.
    upload_expiry: Seconds = 24 * 3600.0
    # Most unfinished uploads that one account may have.
    max_uploads_per_user: Count = 1000
    # What a manifest names must exist: "all" of it, "blobs" but not an index's children, or "none" of it.
    validate_references: Literal["all", "blobs", "none"] = "all"
    # How long a deleted tag can be restored, in seconds.
    tag_restore_grace: Seconds = 24 * 3600.0
    # How long what happened to tags is remembered, in seconds.
    tag_history_kept: Seconds = 90 * 24 * 3600.0
    # Allow manifests, tags and blobs to be deleted.
    delete_enabled: bool = True
    # Largest page of tags, repositories or referrers.
    max_page_size: Annotated[int, Field(ge=1, le=100_000)] = 10_000


class AuthSettings(Section):
    # How an unauthenticated request is challenged: "bearer" sends clients to the token service, "basic"
    # asks for the password.
    challenge: Literal["bearer", "basic"] = "bearer"
    # How long a token from /service/token is good, in seconds.
    token_lifetime: Annotated[int, Field(ge=60, le=86_400)] = 1800
    # How long a refresh token is good, in seconds.
    refresh_token_lifetime: Annotated[int, Field(ge=60, le=_YEAR)] = 30 * 86_400
    # How long a robot's login token is good that was exchanged for a token of a trusted issuer, in seconds.
    federated_token_lifetime: Annotated[int, Field(ge=60, le=3600)] = 900
    # The `service` of the token challenge.
    service: Annotated[str, AfterValidator(rules.header_word)] = "roadstead"
    # How long a verified password is remembered by a worker, in seconds. 0 checks the hash each time.
    credential_cache: Annotated[float, Field(ge=0, le=3600)] = 60.0
    # Most password hashes computed at once by a worker.
    max_concurrent_hashes: Annotated[int, Field(ge=1, le=64)] = 2
    # Wrong passwords for one account or from one address, within `failure_window`, before further tries are
    # refused.
    max_failures: Annotated[int, Field(ge=1)] = 10
    # How long wrong passwords are counted, in seconds.
    failure_window: Seconds = 300.0
    # How long somebody stays signed in with a browser at most, in seconds. How long without a request is
    # session_timeout of the configurations.
    session_lifetime: Annotated[int, Field(ge=60, le=_YEAR)] = 12 * 3600
    # Let anyone pull from public projects without signing in.
    anonymous_pull: bool = True


class JobsSettings(Section):
    # Run background jobs inside `serve`. If false, run `roadstead worker` somewhere.
    embedded: bool = True
    # Jobs that one process runs at once.
    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    # How long a job may go without a sign of life before another worker takes it over, in seconds.
    lease: Annotated[float, Field(ge=1, le=86_400)] = 60.0


class AuditSettings(Section):
    # Write an entry for each pull, too. A busy registry has thousands of them for each change.
    pulls: bool = False
    # Where every entry goes as well: `stdout`, file:///PATH for a file of JSON lines, or tcp://HOST:PORT,
    # tls://HOST:PORT or udp://HOST:PORT for a syslog server. Empty: nowhere, unless an administrator sets
    # audit_log_forward_endpoint.
    forward: Annotated[str, AfterValidator(rules.audit_destination)] = ""
    # PEM file with the authorities that a tls:// server's certificate may come from. Empty: those of the system.
    forward_ca: Path | None = None


class OutgoingSettings(Section):
    # Addresses or networks that may be connected to although they are refused else: this machine, link-local
    # addresses with the metadata services of clouds, multicast. Private networks need not be named.
    allow: tuple[Annotated[str, AfterValidator(rules.network)], ...] = ()
    # Addresses or networks that are never connected to, such as 10.0.0.0/8.
    deny: tuple[Annotated[str, AfterValidator(rules.network)], ...] = ()
    # Address of an HTTP proxy that every request goes through, such as http://proxy.example.com:3128. Empty:
    # none. The proxy then looks names up, and must itself refuse what nobody should reach.
    proxy: Annotated[str, AfterValidator(rules.forward_proxy)] = ""
    # PEM file with authorities that servers' certificates may come from, beside those of the system.
    ca: Path | None = None
    # How long to wait for a connection, in seconds.
    connect_timeout: Seconds = 5.0
    # How long a small request may take in all, in seconds.
    timeout: Seconds = 15.0


class LogSettings(Section):
    # "auto" is "console" on a terminal and "json" elsewhere.
    format: Literal["auto", "console", "json"] = "auto"
    # Least severe event written.
    level: Literal["debug", "info", "warning", "error"] = "info"
    # Write a line for each request.
    access: bool = True


class Settings(Section):
    # Folder for everything that is not kept elsewhere: the database, the blobs, the first password.
    data: Path = Path("roadstead-data")
    # Address to listen on.
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    # Port to listen on.
    port: Annotated[int, Field(ge=0, le=65535)] = 5000
    # Worker processes. 0 is one for each core.
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    # Listen on this Unix socket instead of host and port.
    unix_socket: Path | None = None
    # Addresses that clients use, such as https://registry.example.com. The first is used in answers to
    # unknown hosts.
    external_urls: tuple[Annotated[str, AfterValidator(rules.external_url)], ...] = ()
    # TLS. Without a certificate the server speaks plain HTTP.
    tls: TlsSettings = TlsSettings()
    # Limits of a connection, a request and a response.
    http: HttpSettings = HttpSettings()
    # Where the index is kept: SQLite for one machine, PostgreSQL for several.
    database: DatabaseSettings = DatabaseSettings()
    # Where the bytes are kept.
    storage: StorageSettings = StorageSettings()
    # What may be pushed, and how much of it.
    registry: RegistrySettings = RegistrySettings()
    # Who gets in, and for how long.
    auth: AuthSettings = AuthSettings()
    # Background jobs.
    jobs: JobsSettings = JobsSettings()
    # What is written down of who did what, and where it goes.
    audit: AuditSettings = AuditSettings()
    # Where the server itself connects to: issuers of sign-in tokens.
    outgoing: OutgoingSettings = OutgoingSettings()
    # What is written to standard error while the server runs.
    log: LogSettings = LogSettings()

    @property
    def database_url(self) -> str:
        """The database's address, with the default filled in.  Holds a password: never log it."""
        return self.database.url.get_secret_value() or f"sqlite:///{self.data.absolute() / 'roadstead.db'}"

    @property
    def blobs_folder(self) -> Path:
        return (self.storage.filesystem.rootdirectory or self.data / "blobs").absolute()
