"""A real OpenID provider beside the tests, and what an app does to get tokens of it."""

from __future__ import annotations

import base64
import hashlib
import secrets
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
import requests

from tests.workspace.conftest import assets

AUDIENCE = "https://photos.hospital.example/fhir"
BACK = "http://127.0.0.1:9/return"


class Provider:
    """Use as a context manager. By the host ``localhost`` it is another site to a browser than 127.0.0.1 is."""

    def __init__(self, port: int, redirect: str, *, key: str = "k1", host: str = "127.0.0.1") -> None:
        self.issuer = f"http://{host}:{port}"
        self._words = [self.issuer, redirect, AUDIENCE, key]

    def __enter__(self) -> Provider:
        node = shutil.which("node")
        version = subprocess.run([node or "false", "--version"], capture_output=True, text=True, check=False).stdout
        if not version or int(version.lstrip("v").partition(".")[0]) < 20:
            pytest.skip(f"oidc-provider needs Node 20, there is {version.strip() or 'none'}")
        script = Path(__file__).with_suffix(".mjs")
        self._process = subprocess.Popen(
            [str(node), str(script), *self._words],
            cwd=assets(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == "ready":
                return self
        raise RuntimeError("the provider does not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def backend_token(self, scope: str = "") -> str:
        """A program's token, by its secret."""
        form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        answer = requests.post(f"{self.issuer}/token", form, auth=("backend", "backend-secret"), timeout=10)
        return str(answer.json()["access_token"])

    def app_token(self, scope: str) -> str:
        """A person's token in an app: authorization code with PKCE; SMART's launch context is Anna."""
        verifier = secrets.token_urlsafe(40)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": "viewer",
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": f"openid launch/patient {scope}",
            "state": "s",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        with requests.Session() as session:
            at = walk(session, f"{self.issuer}/auth?{urlencode(query)}", BACK)
            form = {
                "grant_type": "authorization_code",
                "code": parse_qs(urlsplit(at).query)["code"][0],
                "redirect_uri": BACK,
                "client_id": "viewer",
                "code_verifier": verifier,
            }
            return str(session.post(f"{self.issuer}/token", form, timeout=10).json()["access_token"])


def walk(session: requests.Session, address: str, until: str) -> str:
    """Follow redirects as a browser would, up to an address that begins so."""
    for _ in range(12):
        if address.startswith(until):
            return address
        answer = session.get(address, allow_redirects=False, timeout=10)
        assert answer.status_code in (302, 303), answer.text[:300]
        address = urljoin(address, answer.headers["location"])
    raise AssertionError("the provider leads in a circle")
