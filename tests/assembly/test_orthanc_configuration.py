"""An existing Orthanc's configuration, taken behind the wall: its own words stay, every unguarded door is closed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from orthanc_plugin.assembly.cli import build
from orthanc_plugin.assembly.orthanc_configuration import (
    ConfigurationUnfit,
    behind_the_wall,
    loader,
    needs,
    read,
    spare,
)
from orthanc_plugin.assembly.settings import Settings
from orthanc_plugin.wall.section import NAME, Section

pytestmark = pytest.mark.fast


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        folder=tmp_path,
        database="sqlite:///x",
        audit_folder=tmp_path / "audit",
        keys=tmp_path / "keys.json",
        orthanc="http://127.0.0.1:8042",
    )


@pytest.fixture
def needed(tmp_path: Path, settings: Settings) -> dict[str, Any]:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    for name in ("libOrthancPython.so.4.0", "libOrthancDicomWeb.so.1.7", "libOrthancWebViewer.so"):
        (plugins / name).touch()
    return needs(settings, plugins, tmp_path / "walled.py")


def test_what_the_wall_needs_is_what_it_asks_for(needed: dict[str, Any], settings: Settings) -> None:
    """And the plugin that runs it comes first."""
    assert Section.read(needed).keys == settings.keys
    assert [Path(each).name for each in needed["Plugins"]] == ["libOrthancPython.so.4.0", "libOrthancDicomWeb.so.1.7"]


@pytest.mark.parametrize("by_folder", [False, True])
def test_where_index_and_objects_are_is_kept_and_other_plugins_are_left_out(
    needed: dict[str, Any], settings: Settings, tmp_path: Path, by_folder: bool
) -> None:
    """Else an Orthanc whose index is in PostgreSQL would begin anew with an empty one."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    names = ["libOrthancPython.so", "libOrthancPostgreSQLIndex.so", "libOrthancWebViewer.so", "libServeFolders.so.1"]
    for name in names:
        (folder / name).touch()
    listed = [str(folder), str(tmp_path / "none")] if by_folder else [str(folder / name) for name in names]
    walled = behind_the_wall({"Plugins": listed}, needed, settings)
    assert walled.configuration["Plugins"] == [*needed["Plugins"], str(folder / "libOrthancPostgreSQLIndex.so")]
    told = " ".join(walled.changed)
    assert "libOrthancWebViewer.so" in told
    assert "libServeFolders.so.1" in told
    assert len(walled.changed) == 2


def test_an_existing_one_keeps_its_own_words_and_opens_no_door(needed: dict[str, Any], settings: Settings) -> None:
    former = {
        "Name": "old",
        "StorageDirectory": "/photos",
        "DicomServerEnabled": True,
        "WebDavEnabled": True,
        "LuaScripts": ["a.lua"],
        "PythonScript": "/hospital/routing.py",
        "Python": {"Allocations": 1},
        "DicomWeb": {"Enable": False, "StudiesMetadata": "Full"},
        "OrthancPeers": {"pacs": ["http://pacs", "", ""]},
    }
    walled = behind_the_wall(former, needed, settings)
    section = Section.read(walled.configuration)
    assert section.script == Path("/hospital/routing.py")
    assert walled.configuration["DicomWeb"] | needed["DicomWeb"] == walled.configuration["DicomWeb"]
    assert walled.configuration["DicomWeb"]["StudiesMetadata"] == "Full"
    kept = ("Name", "StorageDirectory", "OrthancPeers")
    assert {name: walled.configuration[name] for name in kept} == {name: former[name] for name in kept}
    told = "\n".join(walled.changed)
    assert all(name in told for name in ("DicomServerEnabled", "WebDavEnabled", "LuaScripts", "routing.py"))
    assert "Name" not in [each.partition(":")[0] for each in walled.changed]


def test_once_more_changes_nothing(needed: dict[str, Any], settings: Settings) -> None:
    first = behind_the_wall({"PythonScript": "/hospital/routing.py"}, needed, settings)
    again = behind_the_wall(first.configuration, needed, settings)
    assert (again.configuration, again.changed) == (first.configuration, ())


def test_another_port_than_the_settings_say_is_refused(needed: dict[str, Any], settings: Settings) -> None:
    with pytest.raises(ConfigurationUnfit, match="8043"):
        behind_the_wall({"HttpPort": 8043}, needed, settings)


def test_comments_are_passed_over_as_orthanc_does(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"A": "http://x/*y*/", // one\n /* two\n "A": 3 */ "B": "\\"//"}', "utf-8")
    (tmp_path / "b.json").write_text('{"C": 1}', "utf-8")
    assert read(tmp_path) == {"A": "http://x/*y*/", "B": '"//', "C": 1}
    assert read(tmp_path / "b.json") == {"C": 1}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no configuration"),
        ({"a.json": "{"}, "a.json"),
        ({"a.json": "[]"}, "a.json"),
        ({"a.json": '{"A": 1}', "b.json": '{"A": 2}'}, "b.json.*A"),
    ],
)
def test_what_is_no_configuration_is_named(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ConfigurationUnfit, match=said):
        read(tmp_path)


@pytest.mark.parametrize(
    ("place", "output", "said"),
    [
        ("old.json", "old.json", "is the configuration that is read"),
        ("old.json", "folder/../old.json", "is the configuration that is read"),
        ("folder", "folder/walled.json", "in the folder that is read"),
        ("old.json", "routing.json", "routing.py is there already, and not ours"),
    ],
)
def test_nothing_that_was_there_is_written_over(tmp_path: Path, place: str, output: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.json").write_text("{}")
    (tmp_path / "old.json").write_text('{"Name": "old"} // as the hospital wrote it')
    (tmp_path / "routing.py").write_text("import orthanc")
    (tmp_path / "photospine.toml").write_text("")
    before = {each: each.read_text() for each in tmp_path.rglob("*") if each.is_file()}
    words = ["orthanc", str(tmp_path / place), "--output", str(tmp_path / output)]
    done = CliRunner().invoke(build(), [*words, "--settings", str(tmp_path / "photospine.toml")])
    assert (done.exit_code, said in " ".join(done.output.split())) == (1, True), done.output
    assert {each: each.read_text() for each in tmp_path.rglob("*") if each.is_file()} == before


def test_what_was_written_may_be_written_anew(tmp_path: Path) -> None:
    output, script = tmp_path / "walled.json", tmp_path / "walled.py"
    script.write_text(loader(tmp_path, tmp_path))
    spare(output, {NAME: {}}, output, script)


def test_a_plugin_that_is_missing_is_named(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ConfigurationUnfit, match="orthanc-python"):
        needs(settings, tmp_path, tmp_path / "walled.py")


def test_the_script_that_loads_the_wall_is_python(tmp_path: Path) -> None:
    text = loader(tmp_path / "a folder's", Path("packages"))
    compile(text, "walled.py", "exec")
    assert repr(str(tmp_path / "a folder's")) in text
