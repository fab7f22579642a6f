"""The machines of the form, and how they were set."""

from __future__ import annotations

from fhir_mapping.treatment.session import Amount, Machine, Named, Setting
from fhir_mapping.treatment.settings import SETTINGS, known_settings
from fhir_mapping.treatment.units import shown
from orthanc_plugin.workspace.language import in_order, said
from orthanc_plugin.workspace.today.fields import Fields
from orthanc_plugin.workspace.today.state import State

MOST_NEW = 4
_BELOW_ZERO = frozenset({"Cel", "kPa", "mbar"})
"""UCUM codes of units in which a setting may be below zero."""

ADDED = 4
"""Rows for settings that a machine was not set by last time."""


def choices() -> list[tuple[str, str]]:
    """The settings that have a code, each in its units: value of the choice, words."""
    found = []
    for each in known_settings().values():
        for unit in each.units:
            words = ", ".join(filter(None, (said(each.name), said(shown(unit)))))
            found.append((f"{each.code}|{unit}", words))
    return sorted(found, key=lambda each: in_order(each[1]))


def read(state: State, fields: Fields) -> tuple[Machine, ...]:
    """The machines that were used."""
    made = []
    for number, known in enumerate(state.machines):
        key = str(number)
        settings = []
        for at, each in enumerate(known.settings):
            value = _value(fields, f"setting-{key}-{at}", each.unit)
            settings += [Setting(each.name, value)] if value is not None else []
        settings += _added(fields, key)
        if fields.ticked(f"used-{key}"):
            made.append(Machine(known.name, known.reference, tuple(settings)))
    house = dict(state.house)
    for number in range(fields.count("machines", MOST_NEW)):
        key = f"n{number}"
        reference, name = fields.sent.get(f"machine-{key}", ""), fields.text(f"machine-name-{key}")
        if reference and reference not in house:
            fields.wrong(f"machine-{key}", "Choose a machine of the list, or name it.")
            continue
        settings = _added(fields, key)
        if reference or name:
            made.append(Machine(house.get(reference, name), reference or None, tuple(settings)))
        elif settings:
            fields.wrong(f"machine-{key}", "Choose the machine that was set so, or name it.")
    return tuple(made)


def _added(fields: Fields, key: str) -> list[Setting]:
    made = []
    for number in range(ADDED):
        at = f"{key}-{number}"
        chosen = fields.sent.get(f"set-{at}", "")
        code, _, unit = chosen.partition("|")
        known = known_settings().get(code)
        if chosen and (known is None or unit not in known.units):
            fields.wrong(f"set-{at}", "Choose a setting of the list.")
            continue
        value = _value(fields, f"set-value-{at}", (shown(unit), unit))
        if known is None:
            if value is not None:
                fields.wrong(f"set-{at}", "Choose what was set.")
        elif value is None:
            fields.wrong(f"set-value-{at}", "This setting is a number.")
        else:
            made.append(Setting(Named(known.name, f"{SETTINGS}|{code}"), value))
    return made


def _value(fields: Fields, name: str, unit: tuple[str, str] | None) -> Amount | str | None:
    if unit is None:
        return fields.text(name) or None
    value = fields.number(name, "This setting is a number.")
    if value is not None and value < 0 and unit[1] not in _BELOW_ZERO:
        fields.wrong(name, "This setting is not below zero.")
        return None
    return None if value is None else Amount(value, *unit)
