"""``make demo`` and ``make stop``: a small clinic on this machine, under ``.run/demo``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from orthanc_plugin.assembly import beside, tls, upgrade
from orthanc_plugin.assembly.archive_process import ArchiveProcess
from orthanc_plugin.assembly.demo.load import ACCOUNTS, PEER, load
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.open import open_node
from orthanc_plugin.assembly.settings import FILE_NAME, Settings
from orthanc_plugin.assembly.settings import load as load_settings

ROOT = Path(__file__).resolve().parents[3]
RUN = ROOT / ".run"
FOLDER = RUN / "demo"
ORTHANC_PORT = 8042
SERVE_PORT = 8080
DIMSE_PORT = 11112

_SETTINGS = """\
# The demo clinic. Everything of it lies in this folder.
node = "demo"
orthanc = "http://127.0.0.1:{orthanc}"
port = {serve}
dimse_port = {dimse}
public_url = "{public_url}"
{tls}
assets = "{assets}"
{ohif}
[site]
organization = "clinic"
time_zone = "Europe/Athens"
channels = ["instagram"]
"""


def main(arguments: list[str]) -> int:
    """``up`` or ``stop``; 1 where something is wrong, with the reason on standard error."""
    try:
        if arguments == ["up"]:
            up(FOLDER, ORTHANC_PORT, SERVE_PORT, DIMSE_PORT, secure=os.environ.get("TLS") == "1")
        elif arguments == ["stop"]:
            stop(FOLDER)
        else:
            _say("usage: python -m orthanc_plugin.assembly.demo up|stop")
            return 2
    except AssemblyError as error:
        _say(f"demo: {error}")
        return 1
    return 0


def up(
    folder: Path,
    orthanc_port: int,
    serve_port: int,
    dimse_port: int,
    *,
    secure: bool = False,
    portrait: Path = RUN / "portrait.png",
) -> Settings:
    """Start the clinic, or find it started; load what is not there yet; prove that the wall stands.

    Parameters
    ----------
    secure
        Have ``serve`` speak TLS, with a certificate made on the spot. Once made so, the clinic stays so.
    portrait
        What its faces are made from.

    Raises
    ------
    AssemblyError
        It cannot be started, or was made without TLS: its records hold addresses that begin with ``http:``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE_NAME
    assets = RUN / "assets"
    ohif = f'ohif = "{assets / "ohif"}"' if (assets / "ohif" / "index.html").is_file() else ""
    if not file.exists():
        pair = tls.self_signed(folder) if secure else None
        shown = f'tls_certificate = "{pair[0]}"\ntls_key = "{pair[1]}"' if pair else ""
        public_url = f"https://localhost:{serve_port}" if pair else f"http://127.0.0.1:{serve_port}"
        file.write_text(
            _SETTINGS.format(
                orthanc=orthanc_port,
                serve=serve_port,
                dimse=dimse_port,
                public_url=public_url,
                tls=shown,
                assets=assets,
                ohif=ohif,
            ),
            encoding="utf-8",
        )
    settings = load_settings(file, {})
    if secure and settings.tls_certificate is None:
        raise AssemblyError(
            f"the clinic in {folder} was made without TLS: make stop, remove that folder, and try again"
        )
    upgrade.upgrade(settings, os_user="demo")
    archive = ArchiveProcess(settings, folder / "orthanc", orthanc_port)
    standing = archive.start()
    _say(f"Orthanc stands behind the wall: {len(standing.rows)} routes, everything else is refused")
    try:
        beside.start(settings, folder, {**os.environ, "PHOTOSPINE_SETTINGS": str(settings.folder / FILE_NAME)})
        with open_node(settings, "demo") as node:
            load(node, portrait, lambda text: _say(f"loading the clinic: {text}"))
    except BaseException:
        stop(folder)
        raise
    _tell(settings)
    return settings


def stop(folder: Path) -> None:
    """End what :func:`up` started."""
    beside.stop(folder)
    if (folder / FILE_NAME).exists():
        ArchiveProcess(load_settings(folder / FILE_NAME, {}), folder / "orthanc", ORTHANC_PORT).stop()


def _tell(settings: Settings) -> None:
    _say("")
    _say(f"  workspace   {settings.public_url}/")
    _say(f"  FHIR        {settings.fhir_base}")
    _say(f"  DICOMweb    {settings.orthanc}/dicom-web")
    _say(
        f"  DIMSE       {settings.dimse_host}:{settings.dimse_port} AE {settings.dimse_ae_title}, for {PEER} from here"
    )
    if settings.ohif is not None:
        _say(f"  OHIF        {settings.public_url}/ohif/")
    _say("")
    _say(f"  accounts    {', '.join(account.name for account in ACCOUNTS)} (password: NAME-demo)")
    _say(f"  settings    export PHOTOSPINE_SETTINGS={settings.folder / FILE_NAME}")
    _say("")
    _say("make stop ends it.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
