"""What the form's template draws: its rows, from what the page knows and what its fields hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from fhir_mapping.treatment.session import UNNAMED
from fhir_mapping.treatment.units import DOSES, shown
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.record import within_sentence
from orthanc_plugin.workspace.shown_names import region_name
from orthanc_plugin.workspace.today import machines, outcomes, points, products
from orthanc_plugin.workspace.today.fields import Fields, areas
from orthanc_plugin.workspace.today.products import is_over
from orthanc_plugin.workspace.today.state import KINDS, Kind, State
from orthanc_plugin.workspace.treatment_names import setting_name, treatment_name


@dataclass(frozen=True, slots=True)
class Row:
    """One product."""

    key: str
    """Names its fields: ``0``, ``1``; ``n0`` for one that is new today."""

    name: str
    new: bool
    how: str
    """In words, where it was not simply given; of a new one the choice."""

    kind: Kind
    where: str
    unit: str
    """Fixed; empty: it is chosen."""

    note: str
    touched: bool
    """Whether anything of a new one was typed, or is wrong."""

    expired: bool
    """Whether its lot is past its expiry: then that it was given all the same is asked."""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting of a machine of last time."""

    key: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class MachineRow:
    """One machine."""

    key: str
    name: str
    new: bool
    settings: tuple[SettingRow, ...]
    added: tuple[str, ...]
    """Keys of the rows for settings that are new today."""


@dataclass(frozen=True, slots=True)
class MapRow:
    """The points of one product on one photo."""

    key: str
    photo: str
    """Id of the photo that is shown; empty: there is none."""

    points: tuple[str, ...]
    """Keys of its rows."""

    marks: tuple[tuple[str, str], ...]
    """Places of the points as they stand, in percent."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form."""

    title: str
    """Empty: it is asked."""

    where: str
    """Empty: it is asked."""

    rows: tuple[Row, ...]
    machines: tuple[MachineRow, ...]
    maps: tuple[MapRow, ...]
    outcomes: tuple[str, ...]
    fields: Mapping[str, str]
    errors: Mapping[str, str]
    """Field -> what is wrong with it."""

    choices: Mapping[str, Sequence[tuple[str, str]]]
    """Of each kind of choice: value and words."""

    def value(self, name: str) -> str:
        """What a field holds."""
        return self.fields.get(name, "")

    def ticked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return name in self.fields

    def opened(self, *beginnings: str) -> bool:
        """Whether anything of a part was typed, or is wrong: then it is shown open."""
        typed = any(value and name.startswith(beginnings) for name, value in self.fields.items())
        return typed or any(name.startswith(beginnings) for name in self.errors)


def draw(
    state: State,
    sent: Mapping[str, str],
    errors: Mapping[str, str],
    words: Mapping[str, Sequence[tuple[str, str]]],
    today: date,
) -> Form:
    """The form with these fields.

    Parameters
    ----------
    words
        Choices that are data of the record: characteristics, grades, scales, raters.
    """
    fields = Fields(sent)
    rows = tuple(_row(key, state, fields, today) for key, _ in products.keys(state, fields))
    return Form(
        title=treatment_name(state.title) if state.title != UNNAMED else "",
        where=", ".join(region_name(each) for each in state.places),
        rows=rows,
        machines=_machines(state, fields),
        maps=tuple(_map(state, fields, number) for number in range(fields.count("maps", points.MOST_MAPS, 1))),
        outcomes=tuple(str(number) for number in range(fields.count("outcomes", outcomes.MOST, 1))),
        fields=sent,
        errors=errors,
        choices={
            **words,
            "areas": areas(),
            "sides": [("R", _("Right")), ("L", _("Left")), ("B", _("Both"))],
            "units": [(each, shown(each)) for each in DOSES],
            "how": [(kind.value, _(each)) for kind, each in KINDS.items()],
            "settings": machines.choices(),
            "house": list(state.house),
            "pairs": [(each.value, each.name) for each in outcomes.pairs(state)],
            "frames": [(each.document, each.name) for each in state.frames],
            "injected": [
                (row.key, ", ".join(filter(None, (row.name or _("Another product"), within_sentence(row.where)))))
                for row in rows
                if row.new or row.kind in (Kind.GIVEN, Kind.IMPLANT)
            ],
        },
    )


def _row(key: str, state: State, fields: Fields, today: date) -> Row:
    expired = is_over(fields.expiry(f"expires-{key}"), today)
    if key.startswith("n"):
        how = fields.sent.get(f"how-{key}", Kind.GIVEN.value)
        kind = Kind(how) if how in list(Kind) else Kind.GIVEN
        touched = any(fields.sent.get(f"{each}-{key}", "").strip() for each in products.TYPED)
        return Row(key, fields.sent.get(f"name-{key}", ""), True, kind.value, kind, "", "", "", touched, expired)
    known = state.products[int(key)]
    return Row(
        key=key,
        name=known.name.text or _("Product"),
        new=False,
        how="" if known.kind is Kind.GIVEN else _(KINDS[known.kind]),
        kind=known.kind,
        where=region_name(known.place) if known.place is not None else "",
        unit=shown(known.unit[0] or known.unit[1]) if known.unit is not None else "",
        note=known.note,
        touched=True,
        expired=expired,
    )


def _machines(state: State, fields: Fields) -> tuple[MachineRow, ...]:
    made = []
    for number, each in enumerate(state.machines):
        settings = tuple(
            SettingRow(
                f"{number}-{at}",
                setting_name(one.name),
                shown(one.unit[0] or one.unit[1]) if one.unit is not None and one.unit[1] != "1" else "",
            )
            for at, one in enumerate(each.settings)
        )
        made.append(MachineRow(str(number), each.name or _("Settings"), False, settings, _added(str(number))))
    for number in range(fields.count("machines", machines.MOST_NEW)):
        made.append(
            MachineRow(
                f"n{number}",
                _("Another machine") if state.machines or number else _("Machine"),
                True,
                (),
                _added(f"n{number}"),
            )
        )
    return tuple(made)


def _added(key: str) -> tuple[str, ...]:
    return tuple(f"{key}-{number}" for number in range(machines.ADDED))


def _map(state: State, fields: Fields, number: int) -> MapRow:
    rows = [
        f"{number}-{row}" for row in range(fields.count(f"points-{number}", points.MOST_POINTS, points.FIRST_POINTS))
    ]
    chosen = fields.sent.get(f"map-photo-{number}", "")
    if state.frame(chosen) is None:
        chosen = state.frames[0].document if state.frames else ""
    marks = [
        (fields.text(f"x-{row}", 20).replace(",", "."), fields.text(f"y-{row}", 20).replace(",", ".")) for row in rows
    ]
    return MapRow(str(number), chosen, tuple(rows), tuple(each for each in marks if all(map(_is_place, each))))


def _is_place(said: str) -> bool:
    digits = said.replace(".", "", 1)
    return digits.isascii() and digits.isdigit() and len(digits) < 10 and float(said) <= 100
