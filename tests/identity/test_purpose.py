"""The header chooses one purpose among those held; whatever is not clear is refused."""

from __future__ import annotations

import pytest

from consent.identity.basic import credentials
from consent.identity.purpose import NO_PURPOSE, choose
from consent.types import Requester

pytestmark = pytest.mark.fast

ALL = Requester("x", ("TREAT", "BTG", "SOCIAL", "HRESCH"))


@pytest.mark.parametrize(
    ("header", "purpose", "channel", "project"),
    [
        (None, "TREAT", None, None),
        ("TREAT", "TREAT", None, None),
        (" BTG ", "BTG", None, None),
        ("ETREAT", "BTG", None, None),
        ("SOCIAL; channel=instagram", "SOCIAL", "instagram", None),
        ("SOCIAL;channel=instagram", "SOCIAL", "instagram", None),
        ("SOCIAL", "SOCIAL", None, None),
        ("HRESCH; project=scars", "HRESCH", None, "scars"),
    ],
)
def test_the_header_is_read(header: str | None, purpose: str, channel: str | None, project: str | None) -> None:
    found = choose(ALL, header)
    assert found is not None
    assert (found.purpose, found.channel, found.project) == (purpose, channel, project)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "TREAT, BTG",
        "TREAT,",
        "WEB",
        "treat",
        "TREAT; channel=instagram",
        "SOCIAL; channel=a; channel=b",
        "SOCIAL; channel=",
        "SOCIAL; foo=bar",
        "SOCIAL; channel=a,b",
        "SOCIAL;",
        "TREAT BTG",
        "TREAT\nBTG",
    ],
)
def test_what_is_not_clear_or_not_held_is_refused(header: str) -> None:
    assert choose(ALL, header) is None


def test_the_reason_goes_with_emergencies_alone() -> None:
    found = choose(ALL, "BTG", "Blutung%20%E2%80%94%20%C3%BC")
    assert found is not None
    assert found.emergency_reason == "Blutung — ü"
    assert choose(ALL, None, "x") is None
    assert choose(ALL, "TREAT", "x") is None
    for bad in ("", "%20", "%FF", "x%0Ay", "y" * 501):
        assert choose(ALL, "BTG", bad) is None
    without = choose(ALL, "BTG")
    assert without is not None
    assert without.emergency_reason is None


def test_an_account_without_purposes_puts_a_question_that_is_refused() -> None:
    found = choose(Requester("admin"), None)
    assert found is not None
    assert found.purpose == NO_PURPOSE
    assert choose(Requester("admin"), "TREAT") is None


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("Basic YTpi", ("a", "b")),
        ("basic YTpiOmM=", ("a", "b:c")),
        ("Basic w6Q6w7w=", ("ä", "ü")),
        ("Basic YTo=", ("a", "")),
        (None, None),
        ("Basic", None),
        ("Basic !!!", None),
        ("Basic YQ==", None),
        ("Basic OmI=", None),
        ("Basic /w==", None),
        ("Bearer YTpi", None),
    ],
)
def test_basic_credentials(header: str | None, wanted: tuple[str, str] | None) -> None:
    assert credentials(header) == wanted
