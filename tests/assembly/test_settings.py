"""Settings: every wrong word is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from consent.site import CareTeamScope, SitePurpose
from orthanc_plugin.assembly.errors import SettingsError
from orthanc_plugin.assembly.settings import load

pytestmark = pytest.mark.fast


def _file(folder: Path, text: str) -> Path:
    file = folder / "photospine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(None, {})
    assert settings.port == 8080
    assert settings.database == f"sqlite:///{tmp_path}/photospine.sqlite3"
    assert settings.audit_folder == tmp_path / "audit"


@pytest.mark.parametrize(
    "content", [None, b"\xff\xd8", b"database = 'foo'", b"database = 'postgresql+psycopg://h:port/db'"]
)
def test_a_file_that_is_absent_or_cannot_be_meant_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "photospine.toml"
    if content is not None:
        file.write_bytes(content)
    for given, environment in ((file, {}), (None, {"PHOTOSPINE_SETTINGS": str(file)})):
        with pytest.raises(SettingsError, match=r"photospine\.toml|'database'"):
            load(given, environment)
    for unreadable in (tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(SettingsError, match="cannot be read"):
            load(unreadable, {})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = _file(tmp_path, 'port = 9000\nnode = "a"\n')
    settings = load(file, {"PHOTOSPINE_PORT": "9100", "PHOTOSPINE_DATABASE": "postgresql+psycopg://h/d"})
    assert (settings.port, settings.node, settings.database) == (9100, "a", "postgresql+psycopg://h/d")


def test_the_site_is_read_in_its_own_words(tmp_path: Path) -> None:
    file = _file(
        tmp_path,
        '[site]\ncare_team = "record"\nchannels = ["instagram"]\n'
        '[[site.purposes]]\ncode = "FooBar"\nsystem = "urn:x"\nparent = "HRESCH"\n',
    )
    site = load(file, {}).site
    assert site.care_team is CareTeamScope.RECORD
    assert site.channels == {"instagram"}
    assert site.purposes == (SitePurpose("FooBar", "urn:x", "HRESCH"),)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("prot = 1", "prot"),
        ('port = "many"', "port"),
        ("[site]\ncolour = 1", "colour"),
        ('[site]\ncare_team = "everyone"', "care_team"),
        ('[site]\nother_objects = "all"', "other_objects"),
        ('[site]\ntime_zone = "Mars/Olympus"', "time_zone"),
        ("[site", "TOML"),
    ],
    ids=[
        "unknown key",
        "not a number",
        "unknown site key",
        "unknown care team",
        "unknown choice of other objects",
        "unknown zone",
        "no TOML",
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        load(_file(tmp_path, text), {})
