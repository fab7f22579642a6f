"""What is given, in which lots, and how people write a lot down."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from benchmarks.generated.size import Size

PRODUCTS = "urn:example:product"
"""Code system of the generated products."""

_EACH = 250
"""Treatments that share a lot, on an average."""


class Shape(StrEnum):
    """How the record leads from a treatment to the lot of what was given in it."""

    REFERENCE = "MedicationAdministration, Medication by reference"
    CONTAINED = "MedicationAdministration, Medication contained"
    CODE = "MedicationAdministration by code, lot in an Observation"
    DEVICE = "Device with a UDI alone"
    DISPENSE = "MedicationDispense"
    STATEMENT = "MedicationStatement"


class Kind(StrEnum):
    """What a product is."""

    TOXIN = "toxin"
    FILLER = "filler"
    TOPICAL = "topical"


SHAPES = {
    Kind.TOXIN: (Shape.REFERENCE, Shape.CONTAINED, Shape.CODE),
    Kind.FILLER: (Shape.DEVICE,),
    Kind.TOPICAL: (Shape.DISPENSE, Shape.STATEMENT),
}

_NAMES = {
    Kind.TOXIN: ("Alatoxin", "Beltoxin", "Cortoxin", "Dantoxin", "Eltoxin", "Fentoxin", "Galtoxin", "Hertoxin"),
    Kind.FILLER: ("Alafill", "Belfill", "Corfill", "Danfill", "Elfill", "Fenfill", "Galfill", "Herfill"),
    Kind.TOPICAL: ("Alacream", "Belcream", "Corcream", "Dancream", "Elcream", "Fencream", "Galcream", "Hercream"),
}
_LETTERS, _DIGITS = "ACDEFGHJKLMNPRTUVWXY", "0123456789"
_PATTERNS = {Kind.TOXIN: "LddddLdL", Kind.FILLER: "ddLLLdddd", Kind.TOPICAL: "LL-ddddddL"}
_SHAPE_OF_LETTERS = str.maketrans("OQIJLSBZG", "001115826")


@dataclass(frozen=True, slots=True)
class Product:
    """A product that does not exist."""

    kind: Kind
    code: str
    name: str
    device: str
    """GTIN-14 of a filler, with its check digit; else empty."""


@dataclass(frozen=True, slots=True)
class Lot:
    """One batch of it."""

    number: int
    product: Product
    text: str
    """As it is printed."""

    expiry: str
    """FHIR date."""

    @property
    def medication(self) -> str:
        """Id of the Medication that stands for it."""
        return f"lot{self.number:05}"


def products() -> dict[Kind, tuple[Product, ...]]:
    """Eight of each kind."""
    return {
        kind: tuple(
            Product(
                kind,
                name.lower(),
                f"{name} {strength}",
                _gtin(number) if kind is Kind.FILLER else "",
            )
            for number, (name, strength) in enumerate(zip(names, ("100 U", "50 U", "1 ml", "2 ml") * 2, strict=True))
        )
        for kind, names in _NAMES.items()
    }


def lots(size: Size, seed: int) -> dict[Kind, tuple[Lot, ...]]:
    """The lots that are in use, each of about 250 treatments; no two so alike that one could be taken for the other."""
    random = Random(f"{seed}:lots")
    known = products()
    taken: set[str] = set()
    made: dict[Kind, tuple[Lot, ...]] = {}
    number = 0
    for kind, share in ((Kind.TOXIN, 3), (Kind.FILLER, 1), (Kind.TOPICAL, 2)):
        found = []
        for place in range(max(1, round(size.treatments * share / 6 / _EACH))):
            product = known[kind][place % len(known[kind])]
            expiry = f"{random.randint(2027, 2029)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
            found.append(Lot(number, product, _text(random, _PATTERNS[kind], taken), expiry))
            number += 1
        made[kind] = tuple(found)
    return made


def misspelt(random: Random, text: str) -> str:
    """A lot as somebody in a hurry writes it: one slip, or another way of writing the same."""
    kinds = (_lower, _labelled, _spaced, _letter_for_digit, _exchanged, _other_character)
    for write in random.sample(kinds, len(kinds)):
        written = write(random, text)
        if written != text:
            return written
    return text


def udi(lot: Lot, serial: int) -> str:
    """What is printed on a filler's box (GS1, human readable)."""
    year, month, day = lot.expiry[2:4], lot.expiry[5:7], lot.expiry[8:10]
    return f"(01){lot.product.device}(17){year}{month}{day}(10){lot.text}(21){serial}"


def _text(random: Random, pattern: str, taken: set[str]) -> str:
    """A text of which no reading, and no reading short of one character, is one of another lot's."""
    while True:
        text = "".join(
            random.choice(_LETTERS) if each == "L" else random.choice(_DIGITS) if each == "d" else each
            for each in pattern
        )
        slips = _slips(text)
        if text[0] != "0" and slips.isdisjoint(taken):
            taken |= slips
            return text


def _slips(text: str) -> set[str]:
    plain = "".join(each for each in text if each.isalnum()).translate(_SHAPE_OF_LETTERS)
    return {plain, *(plain[:place] + plain[place + 1 :] for place in range(len(plain)))}


def _lower(_random: Random, text: str) -> str:
    return text.lower()


def _labelled(random: Random, text: str) -> str:
    return f"{random.choice(('Lot ', 'LOT: ', 'Batch '))}{text}"


def _spaced(random: Random, text: str) -> str:
    place = random.randrange(2, len(text) - 1)
    return f"{text[:place]} {text[place:]}"


def _letter_for_digit(random: Random, text: str) -> str:
    places = [place for place, each in enumerate(text) if each in "01"]
    if not places:
        return text
    place = random.choice(places)
    return text[:place] + {"0": "O", "1": "I"}[text[place]] + text[place + 1 :]


def _exchanged(random: Random, text: str) -> str:
    places = [place for place in range(1, len(text) - 1) if text[place : place + 2].isalnum()]
    place = random.choice(places)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _other_character(random: Random, text: str) -> str:
    place = random.choice([place for place, each in enumerate(text) if each.isdigit() and place])
    return text[:place] + random.choice([each for each in "23456789" if each != text[place]]) + text[place + 1 :]


def _gtin(number: int) -> str:
    plain = f"0950400{number:06}"
    total = sum(int(each) * (3 if place % 2 == 0 else 1) for place, each in enumerate(plain))
    return plain + str(-total % 10)
