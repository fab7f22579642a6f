"""Device identifiers of three agencies, read back from what an independent writer made of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_mapping.udi.identifier import Issuer, Udi, UdiError
from fhir_mapping.udi.parse import carried, parse
from tests.counts import count
from tests.fhir.written import agree

pytestmark = pytest.mark.fast

_EXAMPLES = count("udi round trips", small=60, full=2000)
_DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 31))
_LOT = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=18)


@dataclass(frozen=True, slots=True)
class Made:
    """What a label is to say."""

    lot: str
    expiry: date
    made: date
    serial: str


_MADE = st.builds(Made, _LOT, _DAYS, _DAYS, _LOT)


# --- the writer: the standards' tables, written down a second time ---------------------------------------------------


def gtin(digits: str) -> str:
    total = 0
    for place, digit in enumerate(digits):  # 13 digits: weights 3, 1, 3, ...
        total += int(digit) * (3, 1)[place % 2]
    return digits + str((10 - total % 10) % 10)


_ALPHABET: list[str] = [*"0123456789", *(chr(65 + letter) for letter in range(26)), *"-. $/+%"]


def mod43(text: str) -> str:
    places = {character: place for place, character in enumerate(_ALPHABET)}
    return text + _ALPHABET[sum(places[each] for each in text) % 43]


def julian(day: date) -> str:
    return day.strftime("%y%j")


# --- GS1 -------------------------------------------------------------------------------------------------------------


@agree(_EXAMPLES)
@given(
    _MADE,
    st.integers(0, 10**13 - 1),
    st.permutations(["11", "17", "10", "21"]),
    st.sampled_from(["(", "]C1", "]d2", "\x1d", "<GS>"]),
)
def test_gs1_is_read_as_it_was_written(made: Made, number: int, order: list[str], form: str) -> None:
    device = gtin(f"{number:013d}")
    values = {"11": f"{made.made:%y%m%d}", "17": f"{made.expiry:%y%m%d}", "10": made.lot, "21": made.serial}
    if form == "(":
        text = f"(01){device}" + "".join(f"({name}){values[name]}" for name in order)
    else:
        separator = form if form == "<GS>" else "\x1d"
        text = f"01{device}"
        for name in order:
            text += name + values[name] + (separator if name in ("10", "21") and name != order[-1] else "")
        text = text if form == "<GS>" else f"{form}{text}"
    assert parse(text) == Udi(Issuer.GS1, device, made.lot, made.expiry.isoformat(), made.made.isoformat(), made.serial)


def test_gs1_day_00_is_the_last_of_the_month_and_other_identifiers_are_passed_over() -> None:
    found = parse("]d20109504000059118172802003103001250240REF-1\x1d10LOT 7".replace(" ", ""))
    assert (found.lot, found.expiry) == ("LOT7", "2028-02-29")
    assert parse("(01)09504000059118(11)270200(10)A").manufactured == "2027-02"
    assert parse("9504000059118") == parse("]E09504000059118") == Udi(Issuer.GS1, "09504000059118")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1 to 400"),
        ("(01)09504000059119", "check digit would be 8"),
        ("(01)0950400005911", "(01) has 14 digits"),
        ("(01)09504000059118(17)271301", "(17) 271301 is no date"),
        ("(01)09504000059118(17)2701", "(17) has 6 digits"),
        ("(01)09504000059118(10)", "(10) is empty"),
        ("(01)09504000059118(10)" + "A" * 21, "(10) is 1 to 20"),
        ("(01)09504000059118(10)A\u00e4", "(10) is 1 to 20"),
        ("(01)09504000059118(10)A(10)B", "(10) stands twice"),
        ("010950400005911806", "is no application identifier"),
        ("]E0095", "GTIN alone"),
        ("UDI", "none of GS1"),
    ],
)
def test_what_is_no_gs1_identifier_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(UdiError, match=says.replace("(", r"\(").replace(")", r"\)")):
        parse(text)


# --- HIBCC -----------------------------------------------------------------------------------------------------------

_DATED: dict[str, Callable[[date], str]] = {
    "": lambda day: f"{day:%m%y}",
    "2": lambda day: f"{day:%m%d%y}",
    "3": lambda day: f"{day:%y%m%d}",
    "4": lambda day: f"{day:%y%m%d}23",
    "5": julian,
    "6": lambda day: f"{julian(day)}07",
}


@agree(_EXAMPLES)
@given(
    _MADE,
    st.from_regex(r"\A[A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9]\Z"),
    st.sampled_from(sorted(_DATED)),
    st.sampled_from(["", "824", "900500"]),
    st.booleans(),
    st.booleans(),
)
def test_hibc_is_read_as_it_was_written(
    made: Made, device: str, form: str, quantity: str, serial: bool, together: bool
) -> None:
    secondary = f"$${'+' if serial else ''}{quantity}{form}{_DATED[form](made.expiry)}{made.lot}"
    if together:
        text = mod43(f"+{device}/{secondary}/S{made.serial}/16D{made.made:%Y%m%d}")
    else:
        primary = mod43(f"+{device}")
        text = f"*{primary}* *{mod43('+' + secondary + primary[-1])}*"
        if primary.endswith(" "):
            text = text.replace(" *", "_*", 1)
    found = parse(text)
    expiry = f"{made.expiry:%Y-%m}" if not form else made.expiry.isoformat()
    assert (found.issuer, found.device, found.expiry) == (Issuer.HIBCC, device, expiry)
    if together:
        assert (found.serial, found.manufactured) == (made.serial, made.made.isoformat())
        assert found.lot == (None if serial else made.lot)
    else:
        assert (found.lot, found.serial) == ((None, made.lot) if serial else (made.lot, None))


@agree(_EXAMPLES)
@given(_MADE)
def test_a_secondary_hibc_label_alone_tells_lot_and_date(made: Made) -> None:
    for secondary, expiry in (
        (f"+{julian(made.expiry)}{made.lot}", made.expiry.isoformat()),
        (f"+$${'7'}{made.lot}", None),
        (f"+${made.lot}", None),
    ):
        found = parse(mod43(f"{secondary}X"))
        assert (found.device, found.lot, found.expiry) == (None, made.lot, expiry)


@agree(_EXAMPLES)
@given(_MADE, st.integers(1, 20), st.sampled_from("ABCXYZ0123"))
def test_a_misread_character_of_hibc_is_noticed(made: Made, place: int, instead: str) -> None:
    text = mod43(f"+A123BJC5D6E71/$$3{made.expiry:%y%m%d}{made.lot}")
    changed = text[:place] + instead + text[place + 1 :]
    if changed != text:
        with pytest.raises(UdiError):
            parse(changed)


def test_hibcc_prints_this_example_in_its_standard() -> None:
    assert parse("+A123BJC5D6E71G") == Udi(Issuer.HIBCC, "A123BJC5D6E71")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("+A1", "labeler code"),
        ("+1234BJC71", "labeler code"),
        ("+A123BJC71/$$A0127LOT", "no format of a date"),
        ("+A123BJC71/$$1327LOT", "no date"),
        ("+A123BJC71/$$32701LOT", "6 digits"),
        ("+A123BJC71/LOT", "begins with"),
        ("+A123BJC71/$LOT/X1", "none of /S"),
        ("+A123BJC71/$LOT/16D27", "YYYYMMDD"),
        ("+A123BJC71/$" + "L" * 19, "at most 18"),
    ],
)
def test_what_is_no_hibc_label_is_refused_with_the_place(body: str, says: str) -> None:
    with pytest.raises(UdiError, match=says):
        parse(mod43(body))


def test_a_space_that_ends_a_hibc_label_is_a_character_of_it() -> None:
    pairs = (f"{one}{other}" for one in _ALPHABET[:36] for other in _ALPHABET[:36])
    label = next(each for lot in pairs if (each := mod43(f"+A123BJC5D6E71/$$3270131{lot}"))[-1] == " ")
    read = parse(label)
    assert read.lot is not None
    assert parse(f"*{label}*") == parse(f"{label[:-1]}_") == parse(f"{label}\r\n") == read
    with pytest.raises(UdiError, match="write _ for it"):
        parse(label[:-1])
    with pytest.raises(UdiError, match="Take the space"):
        parse(f"{mod43('+A123BJC5D6E71')} ")


@pytest.mark.parametrize("link", _ALPHABET)
def test_a_secondary_hibc_label_is_read_whatever_its_last_two_characters_are(link: str) -> None:
    """Link and check character may be spaces and pluses."""
    devices = (f"A123{letter}{digit}1" for letter in _ALPHABET[:36] for digit in _ALPHABET[:36])
    device = next(each for each in devices if mod43(f"+{each}")[-1] == link)
    for lot in range(60):
        primary, secondary = mod43(f"+{device}"), mod43(f"+$$3270131L{lot}{link}")
        for between in (" ", "\n", "   "):
            found = parse(f"{primary}{between}{secondary}")
            assert (found.device, found.lot, found.expiry) == (device, f"L{lot}", "2027-01-31")


def test_two_hibc_parts_of_different_labels_are_refused() -> None:
    with pytest.raises(UdiError, match="another label"):
        parse(f"{mod43('+A123BJC5D6E71')} {mod43('+$$3270131LOTX')}")


# --- ICCBBA ----------------------------------------------------------------------------------------------------------


@agree(_EXAMPLES)
@given(
    _MADE,
    st.from_regex(r"\A[A-Z0-9]{16}\Z"),
    st.from_regex(r"\A[A-Z0-9]{6}\Z"),
    st.from_regex(r"\A[A-NP-Z1-9][A-Z0-9]{4}[0-9]{8}\Z"),
    st.permutations(range(6)),
    st.booleans(),
)
def test_isbt_128_is_read_as_it_was_written(
    made: Made, product: str, serial: str, donation: str, order: list[int], timed: bool
) -> None:
    structures = [
        f"=/{product}",
        f"=,{serial}",
        f"={donation}0A",
        f"&>0{julian(made.expiry)}2359" if timed else f"=>0{julian(made.expiry)}",
        f"=}}0{julian(made.made)}",
        f"&,1{made.lot.rjust(18, '0')}",
    ]
    found = parse("".join(structures[each] for each in order))
    assert found == Udi(
        Issuer.ICCBBA,
        product,
        made.lot.lstrip("0") or None,
        made.expiry.isoformat(),
        made.made.isoformat(),
        serial,
        donation,
    )


def test_the_fda_prints_this_example() -> None:
    text = "=/A9999XYZ100T0944=,000025=A99971312345600=>014032=}013032&,1000000000000XYZ123"
    expiry = date(2014, 1, 1) + timedelta(days=31)
    assert parse(text) == Udi(
        Issuer.ICCBBA, "A9999XYZ100T0944", "XYZ123", expiry.isoformat(), "2013-02-01", "000025", "A999713123456"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("=/A9999", "product of another form"),
        ("=>014999", "day 999"),
        ("=,000025=,000026", "stands twice"),
        ("&X", "no data structure"),
        ("=!", "no data structure"),
    ],
)
def test_what_is_no_isbt_128_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(UdiError, match=says):
        parse(text)


# --- anything --------------------------------------------------------------------------------------------------------


@agree(_EXAMPLES * 3)
@given(st.text(max_size=60) | st.from_regex(r"\A(\(01\)|\]C1|\+|=|&)[ -~\x1d]{0,40}\Z"))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UdiError):
        assert parse(text).issuer in Issuer
    carried({"carrierHRF": text, "carrierAIDC": b64encode(text.encode()).decode()})
