import base64
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from steelyard.errors import StartupError
from steelyard.settings import Settings, all_settings, load_settings, resolve_settings

KEY = base64.b64encode(bytes(range(32))).decode()


def load(
    flags: dict[str, Any] | None = None, environ: dict[str, str] | None = None, config: Path | None = None
) -> Settings:
    return load_settings(flags or {}, config=config, environ=environ or {})


def toml(folder: Path, text: str) -> Path:
    file = folder / "steelyard.toml"
    file.write_text(text)
    return file


def test_defaults() -> None:
    settings = load()
    assert settings == Settings()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8080, Path("steelyard-data"))
    assert (settings.limits.record_body_bytes, settings.limits.json_depth) == (1_048_576, 64)
    assert (settings.limits.shutdown_seconds, settings.store.readers) == (10, 2)
    assert (settings.log.level, settings.log.access) == ("info", True)
    assert (settings.unknown_fields, settings.strict_references) == ("refuse", False)
    assert settings.protect_references is False
    assert settings.models.trust_remote_code.enabled is True
    assert settings.models.tool_call_plugin.enabled is False
    assert settings.master_key is None


def test_the_process_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEELYARD_PORT", "9")
    assert Settings().port == 8080
    assert load().port == 8080


def test_precedence_and_origins(tmp_path: Path) -> None:
    file = toml(tmp_path, 'host = "f"\nport = 1\n[log]\nlevel = "error"\naccess = false\n[limits]\n')
    environ = {"STEELYARD_PORT": "2", "STEELYARD_LOG__LEVEL": "Warning", "STEELYARD_CONFIG": str(file)}
    resolved = resolve_settings({"port": 3, "data_dir": None}, config=None, environ=environ)
    assert (resolved.value("host"), resolved.value("port")) == ("f", 3)
    assert (resolved.value("log.level"), resolved.value("log.access")) == ("warning", False)
    assert resolved.origins == {
        **{"host": str(file), "port": "the command line", "log.access": str(file)},
        **{"log.level": "STEELYARD_LOG__LEVEL"},
    }


def test_a_config_that_is_given_goes_before_the_one_that_is_named(tmp_path: Path) -> None:
    file = toml(tmp_path, "port = 5\n")
    assert load(config=file, environ={"STEELYARD_CONFIG": "/nowhere"}).port == 5


def test_every_setting_can_be_set_by_its_variable_and_is_described() -> None:
    values = {"port": "0", "master_key": KEY, "data_dir": "d", "host": "h", "unknown_fields": "ignore"}
    values |= {"log.level": "debug", "store.readers": "16", "limits.json_depth": "8"}
    values |= {"limits.record_body_bytes": "2048", "limits.shutdown_seconds": "0"}
    values |= {"limits.import_body_bytes": "1048576", "limits.batch_body_bytes": "2048", "history.retention_days": "1"}
    values |= {
        "outbound.schemes": "https, http",
        "outbound.allowed_networks": "10.0.0.0/8,::1",
        "auth.proxy_addresses": "10.0.0.0/8",
        "auth.proxy_secret": "0123456789abcdef",
        "auth.public_url": "https://registry.example.com",
        "auth.oidc.issuer": "https://login.example.com/realms/ml",
        "auth.workloads": "https://ci.example.com|repo:acme/*|ci, https://pods.example.com|ns:a:*|pods|models:*",
    }
    values |= {item.key: "2" for item in all_settings() if item.key.startswith("webhooks.")}
    values |= {"files.max_bytes": "1", "files.upload_hours": "1", "files.keep_replaced_days": "0"}
    values |= {"files.pickles": "allow", "files.untrusted_code": "serve", "files.folders": "models=/srv/models"}
    values |= {"files.object_store.downloads": "presigned", "secrets.access": "open"}
    values |= {"telemetry.otlp_endpoint": "http://127.0.0.1:4318", "telemetry.otlp_headers": "authorization=Bearer k"}
    environ = {item.variable: values.get(item.key) or _fitting(item.kind) for item in all_settings()}
    resolved = resolve_settings({}, config=None, environ=environ)
    assert resolved.origins == {item.key: item.variable for item in all_settings()}
    assert all(item.field.description for item in all_settings())


def _fitting(kind: str) -> str:
    """A value of a kind that is described in words."""
    least = re.search(r"number (from|above) (\S+) to", kind)
    return "true" if least is None else least[2] if least[1] == "from" else "1"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("telemetry.otlp_endpoint", "127.0.0.1:4318"),
        ("telemetry.otlp_endpoint", "file:///x"),
        ("telemetry.otlp_headers", "authorization"),
        ("telemetry.otlp_headers", "a=b\nc=d"),
        ("gateway.retry_budget", "1.5"),
        ("gateway.connect_seconds", "0"),
        ("master_key_command", "kms 'unfinished"),
        ("files.object_store.secret_access_key", "5"),
    ],
)
def test_a_wrong_value_is_told_and_a_secret_one_is_not_repeated(key: str, text: str) -> None:
    [setting] = [item for item in all_settings() if item.key == key]
    if key == "files.object_store.secret_access_key":
        with pytest.raises(StartupError) as error:
            load(flags={key: 5_772_156})
        assert "5772156" not in error.value.message
    else:
        with pytest.raises(StartupError) as error:
            load(environ={setting.variable: text})
        assert f"{key} must be {setting.kind}" in error.value.message
        assert (text in error.value.message) is (not setting.secret and "\n" not in text)


def test_it_is_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.log.level = "debug"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"STEELYARD_PROT": "1"}, "STEELYARD_PROT names no setting; did you mean STEELYARD_PORT?"),
        ({"STEELYARD_LOG_LEVEL": "x"}, "did you mean STEELYARD_LOG__LEVEL?"),
        ({"STEELYARD_LOG": "{}"}, "it is a group: STEELYARD_LOG__LEVEL, STEELYARD_LOG__ACCESS"),
        ({"STEELYARD_ZZZZZZ": "x"}, "settings docs"),
        ({"STEELYARD_TOKN": "hunter2"}, "did you mean STEELYARD_TOKEN?"),
        ({"STEELYARD_PORT": "http"}, 'from 0 to 65535, not "http" (from STEELYARD_PORT)'),
        ({"STEELYARD_PORT": ""}, "port must be a whole number"),
        ({"STEELYARD_HOST": ""}, "host must be a non-empty text"),
        ({"STEELYARD_DATA_DIR": ""}, "data_dir must be the path of a folder"),
        ({"STEELYARD_LOG__ACCESS": "maybe"}, "log.access must be true or false"),
        ({"STEELYARD_UNKNOWN_FIELDS": "drop"}, "one of refuse, ignore"),
        ({"STEELYARD_STORE__READERS": "17"}, "from 1 to 16"),
        ({"STEELYARD_MASTER_KEY": "hunter2"}, "32 bytes in base64 (from STEELYARD_MASTER_KEY)"),
        ({"STEELYARD_MASTER_KEY": ""}, "32 bytes in base64"),
        ({"STEELYARD_MASTER_KEY": "hunter2-ä"}, "32 bytes in base64"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(environ: dict[str, str], said: str) -> None:
    with pytest.raises(StartupError) as caught:
        load(environ=environ)
    assert said in caught.value.message
    assert "hunter2" not in caught.value.message
    assert "\n" not in caught.value.message
    # The error of pydantic knows the value, so it must not travel along.
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "there is no setting 'prot'; did you mean port?"),
        ("[log]\nlevl = 1", "there is no setting 'log.levl'; did you mean log.level?"),
        ("log = 3", "it is a group: log.level, log.access"),
        ("[bogus]", "there is no setting 'bogus'"),
        ("[port]\nx = 1", "there is no setting 'port.x'"),
        ("port = true", "port must be a whole number from 0 to 65535, not true"),
        ("port = []", "port must be"),
        ("port == 1", "is not TOML"),
        ("port = 1979-05-27", "port must be"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = toml(tmp_path, text)
    with pytest.raises(StartupError) as caught:
        load(config=file)
    assert said in caught.value.message
    assert str(file) in caught.value.message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff")
    for file, said in [(tmp_path / "no", "No such file"), (tmp_path, "directory"), (binary, "UTF-8")]:
        with pytest.raises(StartupError, match=said):
            load(config=file)


def test_an_unknown_flag() -> None:
    with pytest.raises(StartupError, match=r"the command line: there is no setting 'log\.lvl'"):
        load({"log.lvl": None})


def test_what_kubernetes_writes_for_a_service_is_passed_over() -> None:
    environ = {"STEELYARD_SERVICE_HOST": "10.0.0.1", "STEELYARD_SERVICE_PORT_HTTP": "80"}
    environ |= {"STEELYARD_PORT": "tcp://10.0.0.1:80", "STEELYARD_PORT_80_TCP_ADDR": "10.0.0.1"}
    environ |= {"STEELYARD_DB_PORT": "tcp://10.0.0.2:5432", "STEELYARD_DB_SERVICE_PORT": "5432"}
    assert load(environ=environ) == Settings()


def test_the_key_has_one_form_and_is_never_shown() -> None:
    for text in (KEY, KEY.rstrip("="), base64.urlsafe_b64encode(bytes(range(32))).decode() + "\n"):
        settings = load(environ={"STEELYARD_MASTER_KEY": text})
        assert settings.master_key is not None
        assert settings.master_key.get_secret_value() == KEY
        assert text.strip() not in repr(settings) + str(settings) + settings.model_dump_json()
    with pytest.raises(ValidationError) as caught:
        Settings(master_key="hunter2")
    assert "hunter2" not in str(caught.value)


def test_home_is_found() -> None:
    assert load({"data_dir": "~/data"}).data_dir == Path.home() / "data"


@pytest.mark.parametrize(
    "value",
    [
        "https://ci.example.com|repo:acme/*",
        "https://ci.example.com||ci",
        "https://ci.example.com|*|ci",
        "https://ci.example.com|?epo:acme/*|ci",
        "ci.example.com|repo:acme/*|ci",
        "https://ci.example.com|repo:acme/*|group:admins",
        "https://ci.example.com|repo:acme/*|c i",
        "https://ci.example.com|repo:acme/*|ci|models:*|more",
    ],
)
def test_a_rule_for_workloads_says_whom_it_means(value: str) -> None:
    with pytest.raises(StartupError, match=r"auth\.workloads"):
        load(environ={"STEELYARD_AUTH__WORKLOADS": value})
