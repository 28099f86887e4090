"""The file, the environment and the command line, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.config.display import shown_values
from roadstead.config.loading import LoadedSettings, load
from roadstead.config.problems import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "roadstead.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaints(
    file: Path | None = None, environ: dict[str, str] | None = None, **overrides: object
) -> list[str]:
    """What is wrong, each with its remedy, without the folder of the file."""
    with pytest.raises(ConfigError) as caught:
        load(
            file, {name.replace("__", "."): value for name, value in overrides.items()}, environ=environ or {}
        )
    folder = f"{file.parent}/" if file else "//"
    return [f"{problem} {problem.remedy}".replace(folder, "") for problem in caught.value.problems]


def read(text: str, folder: Path) -> LoadedSettings:
    return load(write(folder, text), environ={})


def test_nothing_given_means_the_defaults() -> None:
    loaded = load(environ={})
    assert loaded.settings.port == 5000
    assert set(loaded.sources.values()) == {"default"}


def test_the_command_line_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = write(tmp_path, "host: a\nport: 1\nworkers: 1\n")
    loaded = load(file, {"host": "c"}, environ={"ROADSTEAD_HOST": "b", "ROADSTEAD_PORT": "2"})
    assert (loaded.settings.host, loaded.settings.port, loaded.settings.workers) == ("c", 2, 1)


def test_each_value_knows_where_it_came_from(tmp_path: Path) -> None:
    file = write(tmp_path, "log:\n  level: debug\nport: 1\nworkers: 2\n")
    loaded = load(file, {"tls.client_ca": None, "workers": "3"}, environ={"ROADSTEAD_PORT": "2"})
    assert loaded.sources["log.level"] == f"{file}:2"
    assert loaded.sources["port"] == "ROADSTEAD_PORT"
    assert loaded.sources["workers"] == "--workers"
    assert loaded.sources["tls.client_ca"] == "default"


def test_an_option_may_have_another_name_than_its_setting() -> None:
    loaded = load(
        None, {"external_urls": ["https://a"]}, flags={"external_urls": "--external-url"}, environ={}
    )
    assert loaded.sources["external_urls"] == "--external-url"


def test_the_environment_names_the_file_unless_the_command_line_does(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("port: 2\n", encoding="utf-8")
    environ = {"ROADSTEAD_CONFIG": str(write(tmp_path, "port: 1\n"))}
    assert load(environ=environ).settings.port == 1
    assert load(other, environ=environ).settings.port == 2


def test_nested_settings_come_from_the_environment_with_two_underscores() -> None:
    environ = {"ROADSTEAD_STORAGE__FILESYSTEM__ROOTDIRECTORY": "/srv/blobs", "ROADSTEAD_JOBS__EMBEDDED": "no"}
    settings = load(environ=environ).settings
    assert settings.storage.filesystem.rootdirectory == Path("/srv/blobs")
    assert settings.jobs.embedded is False


@pytest.mark.parametrize(
    "text", ["https://a, https://b", '["https://a", "https://b/"]', "https://a,https://b,"]
)
def test_a_list_in_the_environment_is_json_or_separated_by_commas(text: str) -> None:
    assert load(environ={"ROADSTEAD_EXTERNAL_URLS": text}).settings.external_urls == (
        "https://a",
        "https://b",
    )


def test_an_empty_variable_is_not_set() -> None:
    assert load(environ={"ROADSTEAD_PORT": "", "ROADSTEAD_NONSENSE": ""}).settings.port == 5000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROADSTEAD_ADMIN_PASSWORD", "x"),
        ("ROADSTEAD_ADMIN_PASSWORD_FILE", "x"),
        ("ROADSTEAD_TEST_ANYTHING", "x"),
        ("ROADSTEAD_SERVICE_HOST", "10.0.0.7"),
        ("ROADSTEAD_SERVICE_PORT_HTTP", "5000"),
        ("ROADSTEAD_PORT", "tcp://10.0.0.7:5000"),
        ("ROADSTEAD_PORT_5000_TCP_ADDR", "10.0.0.7"),
        ("ROADSTEAD_POSTGRES_PORT", "tcp://10.0.0.8:5432"),
    ],
)
def test_variables_that_are_no_settings_are_left_alone(name: str, value: str) -> None:
    assert set(load(environ={name: value}).sources.values()) == {"default"}


def test_an_unknown_variable_is_refused_with_a_suggestion() -> None:
    assert complaints(environ={"ROADSTEAD_HTPP__MAX_HEADERS": "1"}) == [
        "ROADSTEAD_HTPP__MAX_HEADERS: there is no such setting. Did you mean ROADSTEAD_HTTP__MAX_HEADERS?"
    ]


def test_a_section_takes_no_value_from_the_environment() -> None:
    assert complaints(environ={"ROADSTEAD_TLS": "yes"}) == [
        (
            "ROADSTEAD_TLS: tls is a section and takes no value"
            " Set its members one by one, such as ROADSTEAD_TLS__CERTIFICATE."
        )
    ]


def test_a_list_that_is_not_json_is_refused() -> None:
    assert complaints(environ={"ROADSTEAD_EXTERNAL_URLS": '["https://a"'}) == [
        'ROADSTEAD_EXTERNAL_URLS: external_urls is not a list that can be read Write a,b or ["a", "b"].'
    ]


_SEE = " See: roadstead config explain "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "storage:\n  filesystm: {}\n",
            "roadstead.yaml:2: unknown key storage.filesystm. Did you mean filesystem?",
        ),
        (
            "drain_timeout: 1\n",
            "roadstead.yaml:1: unknown key drain_timeout. Did you mean http.drain_timeout?",
        ),
        (
            "jobs:\n  zzz: 1\n",
            "roadstead.yaml:2: unknown key jobs.zzz. Known here: embedded, concurrency, lease.",
        ),
        ("port: 1\nport: 2\n", "roadstead.yaml:2: port stands here a second time Keep one of the two."),
        ("port:\n", "roadstead.yaml:1: port has no value Give it one, or take the line away."),
        (
            "http: fast\n",
            (
                "roadstead.yaml:1: http must hold keys and values"
                " Write `key: value` lines, indented under the section's name."
            ),
        ),
        (
            "\nport: 70000\n",
            "roadstead.yaml:2: port must be 65535 or less, not 70000 See: roadstead config explain port",
        ),
        (
            "http:\n  body_grace: 0\n",
            (
                "roadstead.yaml:2: http.body_grace must be more than 0.0, not 0"
                " See: roadstead config explain http.body_grace"
            ),
        ),
        (
            "log: {level: inof}\n",
            (
                "roadstead.yaml:1: log.level must be 'debug', 'info', 'warning' or 'error', not 'inof'"
                " Did you mean info?"
            ),
        ),
        (
            "host: 5\n",
            "roadstead.yaml:1: host must be text (put it in quotes), not 5" + _SEE + "host",
        ),
        (
            "external_urls: https://a\n",
            "roadstead.yaml:1: external_urls must be a list, not 'https://a'" + _SEE + "external_urls",
        ),
        (
            "external_urls: [https://a, 'https://b/path']\n",
            (
                "roadstead.yaml:1: external_urls must look like https://registry.example.com or"
                " http://host:port, without a path, not 'https://b/path'" + _SEE + "external_urls"
            ),
        ),
        (
            "tls:\n  key: a.key\n",
            "roadstead.yaml:2: tls needs a certificate when key or client_ca is set" + _SEE + "tls",
        ),
        (
            "http: {trusted_proxies: [nobody]}\n",
            (
                "roadstead.yaml:1: http.trusted_proxies must be an IP address, a network such as 10.0.0.0/8, or unix"
                ", not 'nobody' See: roadstead config explain http.trusted_proxies"
            ),
        ),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line_and_remedy(
    text: str, expected: str, tmp_path: Path
) -> None:
    assert complaints(write(tmp_path, text)) == [expected]


@pytest.mark.parametrize(
    "text", ["port: [\n", "\tport: 1\n", "a: b: c\n", "port: &x *y\n", "port: !!python/name:os\n"]
)
def test_a_file_that_is_not_yaml_is_refused_with_its_line(text: str, tmp_path: Path) -> None:
    (complaint,) = complaints(write(tmp_path, text))
    assert complaint.startswith("roadstead.yaml:")
    assert "not YAML" in complaint


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, "prot: 1\nport: many\n")
    found = complaints(file, {"ROADSTEAD_HOTS": "x"}, workers=-1)
    assert [complaint.split(" ")[0] for complaint in found] == [
        "roadstead.yaml:1:",
        "ROADSTEAD_HOTS:",
        "roadstead.yaml:2:",
        "--workers:",
    ]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert complaints(tmp_path / "none.yaml") == [
        "none.yaml: there is no such file Name an existing file with --config."
    ]


def test_a_folder_is_no_configuration_file(tmp_path: Path) -> None:
    (complaint,) = complaints(tmp_path)
    assert "is a directory" in complaint


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roadstead.yaml"
    path.write_bytes(b"host: \xff\n")
    assert complaints(path) == ["roadstead.yaml: the file is not UTF-8 text Save it as UTF-8."]


@pytest.mark.parametrize("text", ["", "# nothing\n", "tls:\nhttp: ~\n", "---\n"])
def test_empty_files_and_sections_are_fine(text: str, tmp_path: Path) -> None:
    assert read(text, tmp_path).settings == load(environ={}).settings


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    settings = read("http: &h\n  max_headers: 7\njobs:\n  concurrency: 3\n", tmp_path).settings
    assert (settings.http.max_headers, settings.jobs.concurrency) == (7, 3)


def test_a_secret_is_in_no_message_and_no_listing(tmp_path: Path) -> None:
    file = write(tmp_path, "database:\n  url: mysql://me:hunter2@db/x\n")
    (complaint,) = complaints(file)
    assert "hunter2" not in complaint
    assert "must begin with sqlite:/// or postgresql://" in complaint
    loaded = read("database:\n  url: postgresql://me:hunter2@db:5432/x?password=hunter2\n", tmp_path)
    assert shown_values(loaded.settings)["database.url"] == "postgresql://********@db:5432/x?********"
    assert "hunter2" not in repr(loaded)
