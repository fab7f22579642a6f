"""Prepares the prebuilt OHIF viewer for ``/ohif/``.

The npm package ``@ohif/app`` holds a ready build that assumes to stand at ``/``. Nothing of it is built here: its
public path is rewritten while the files are copied, its configuration is replaced, and what it would load from
elsewhere (service worker, sign-in scripts of other products) is left out.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from orthanc_plugin.assembly.errors import AssemblyError

PACKAGE = "@ohif/app"
VERSION = "3.12.10"
INTEGRITY = "sha512-0kuF66Mq9c9dMD++bUsTjMrJpXJwaZhz9B4uS244DawAjSkTwIYFU93pxPuRUQixaRi7QAHlF3Fe1qudBlZrmA=="
BASE = "/ohif/"

_LEFT_OUT = frozenset(
    {"_headers", "_redirects", "google.js", "init-service-worker.js", "oidc-client.min.js", "ort", "serve.json",
     "silent-refresh.html", "sw.js", "dicom-microscopy-viewer"}
)  # fmt: skip
_WEBPACK_PATH = re.compile(r'(__webpack_require__\.p = )"/"')
_CSS_PATH = re.compile(r"url\(/(?!/)")
_HTML_PATH = re.compile(r'((?:href|src|content)=")/(?!/)')
_PUBLIC_URL = re.compile(r"(window\.PUBLIC_URL = ')/(')")
_SERVICE_WORKER = re.compile(
    r'<script rel="preload" as="script" type="module" src="[^"]*init-service-worker\.js"></script>'
)

#: Answers from this origin alone, and only what the wall lets the session see.
_CONFIG = """// Two studies beside each other: of each the series that the address names (initialSeriesInstanceUID),
// else one of photos from the front, else any of pictures.
const photoOf = index => ({
  studyMatchingRules: [
    { attribute: 'studyInstanceUIDsIndex', from: 'options', required: true, constraint: { equals: { value: index } } },
  ],
  seriesMatchingRules: [
    { attribute: 'numImageFrames', required: true, constraint: { greaterThan: { value: 0 } } },
    { attribute: 'isDisplaySetFromUrl', weight: 20, constraint: { equals: true } },
    { attribute: 'SeriesDescription', weight: 5, constraint: { containsI: 'frontal' } },
  ],
});
const viewportOf = id => ({
  viewportOptions: { viewportType: 'stack', toolGroupId: 'default', allowUnmatchedView: true },
  displaySets: [{ id }],
});
const photospine = {
  id: 'photospine',
  getHangingProtocolModule: () => [
    {
      name: 'photospine-compare',
      protocol: {
        id: 'photospine-compare',
        name: 'Baseline beside latest',
        description: 'A photo of each of two studies, the earlier one on the left',
        numberOfPriorsReferenced: 1,
        protocolMatchingRules: [],
        toolGroupIds: ['default'],
        displaySetSelectors: { baseline: photoOf(0), latest: photoOf(1) },
        defaultViewport: viewportOf('latest'),
        stages: [
          {
            name: 'Baseline beside latest',
            viewportStructure: { layoutType: 'grid', properties: { rows: 1, columns: 2 } },
            viewports: [viewportOf('baseline'), viewportOf('latest')],
          },
        ],
      },
    },
  ],
};
// A package within asks for it where its script was not begun by a tag, and else ends the viewer.
window.__filename = '/ohif/';
window.config = {
  routerBasename: '/ohif',
  extensions: [photospine],
  modes: [],
  showStudyList: true,
  maxNumberOfWebWorkers: 3,
  showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: false,
  showLoadingIndicator: true,
  strictZSpacingForVolumeViewport: true,
  investigationalUseDialog: { option: 'never' },
  customizationService: [{ 'ohif.tours': { $set: [] } }],
  defaultDataSourceName: 'dicomweb',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'dicomweb',
      configuration: {
        friendlyName: 'Photospine',
        name: 'photospine',
        qidoRoot: '/dicom-web',
        wadoRoot: '/dicom-web',
        wadoUriRoot: '/dicom-web',
        qidoSupportsIncludeField: false,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        omitQuotationForMultipartRequest: true,
        bulkDataURI: { enabled: true },
      },
    },
  ],
};
"""


def recipe() -> str:
    """What a prepared copy is made of; a copy of another recipe is made anew."""
    return f"{PACKAGE}@{VERSION} {hashlib.sha256(_CONFIG.encode()).hexdigest()[:16]}\n"


def prepare(package: Path, target: Path) -> None:
    """Copy an unpacked ``@ohif/app`` to ``target``, ready for ``/ohif/``. An earlier copy is replaced.

    Parameters
    ----------
    package
        The unpacked npm package: the folder that holds ``dist``.

    Raises
    ------
    AssemblyError
        The package is not the build that this was written for.
    """
    source = package / "dist"
    if not (source / "index.html").is_file():
        raise AssemblyError(f"{package}: no dist/index.html; unpack {PACKAGE}@{VERSION} there")
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    rewritten = 0
    for file in sorted(source.rglob("*")):
        part = file.relative_to(source)
        if part.parts[0] in _LEFT_OUT or file.is_dir() or file.suffix == ".map":
            continue
        made = fresh / part
        made.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".js" and len(part.parts) == 1:
            text, count = _WEBPACK_PATH.subn(rf'\1"{BASE}"', file.read_text("utf-8"))
            made.write_text(text, "utf-8")
            rewritten += count
        elif file.suffix == ".css":
            made.write_text(_CSS_PATH.sub(f"url({BASE}", file.read_text("utf-8")), "utf-8")
        else:
            shutil.copyfile(file, made)
    if not rewritten:
        shutil.rmtree(fresh)
        raise AssemblyError(f"{package}: no public path was found to rewrite; {PACKAGE}@{VERSION} is expected")
    page = _SERVICE_WORKER.sub("", (source / "index.html").read_text("utf-8"))
    page = _PUBLIC_URL.sub(rf"\g<1>{BASE}\2", _HTML_PATH.sub(rf"\1{BASE}", page))
    (fresh / "index.html").write_text(page, "utf-8")
    (fresh / "app-config.js").write_text(_CONFIG, "utf-8")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
