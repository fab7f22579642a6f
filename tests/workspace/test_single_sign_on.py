"""Signing in through a provider of another site, in a real Chromium: cookies, policy and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from consent.identity import accounts, keys, links, policy
from consent.identity.policy import Issuer
from consent.store.engine import transaction
from orthanc_plugin.assembly.issuers import Refresher, Web
from orthanc_plugin.assembly.serve import build
from orthanc_plugin.assembly.settings import Settings
from tests.database import fresh
from tests.doors.provider import Provider
from tests.ports import free_port
from tests.workspace.conftest import Running, assets, watched

pytestmark = [pytest.mark.browser]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a ``serve`` that believes a public provider on another site."""
    port = free_port()
    made = f"http://127.0.0.1:{port}"
    settings = Settings(
        folder=tmp_path,
        database=f"sqlite:///{tmp_path}/photospine.sqlite3",
        audit_folder=tmp_path / "audit",
        keys=tmp_path / "keys.json",
        public_url=made,
        assets=assets(),
        client_secrets=tmp_path / "secrets.json",
    )
    keys.make(settings.keys)
    engine = fresh(settings.database)
    with Provider(free_port(), f"{made}/login/return", host="localhost") as provider:
        issuer = Issuer(provider.issuer, client_id="photospine", label="Test Hospital")
        secrets = tmp_path / "secrets.json"
        secrets.touch(0o600)
        secrets.write_text(f'{{"{provider.issuer}": "photospine-secret"}}')
        with transaction(engine) as connection:
            policy.save(connection, policy.Policy((issuer,)))
            accounts.create(connection, "clinician", password=None, purposes=["TREAT"], display="Dr. Test")
            links.link(connection, "clinician", provider.issuer, "dr-test")
        assert Refresher(engine, Web().get).step() == 1
        served = build(replace(settings, issuers=(issuer,)))
        try:
            with Running(served.app, port):
                yield made
        finally:
            served.close()
            engine.dispose()


def test_a_person_signs_in_and_out(browser: Browser, address: str) -> None:
    context = browser.new_context()
    context.set_default_timeout(40_000)
    visit = watched(context, address)
    page = visit.page
    page.goto(f"{address}/chart?q=anna")
    page.get_by_role("link", name="Sign in with Test Hospital").click()
    page.wait_for_url(f"{address}/chart?q=anna")
    expect(page.get_by_text("Dr. Test")).to_be_visible()
    assert "code=" not in page.evaluate("document.referrer + location.href")
    cookies = {str(cookie["name"]): cookie for cookie in context.cookies(address)}
    assert "photospine-sso" not in cookies
    assert (cookies["photospine"]["httpOnly"], cookies["photospine"]["sameSite"]) == (True, "Lax")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign out of Test Hospital too").click()
    page.wait_for_url(lambda at: at.startswith("http://localhost:"))
    page.goto(f"{address}/chart")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert [each for each in visit.complaints if "policy" in each] == []
    context.close()
