"""The settings that bind decisions: one row, the same for all nodes."""

from __future__ import annotations

import json

from sqlalchemy import Connection, insert, literal, select, update

from consent.codec import site_from_json, site_to_json
from consent.errors import ConsentError
from consent.site import Site
from consent.store.tables import patient, patient_state, site_state
from consent.store.versions import lock


class NoSite(ConsentError):
    """The settings of the site are not in the database yet. Run ``photospine db upgrade``."""


def load_site(connection: Connection) -> Site:
    """The settings.

    Raises
    ------
    NoSite
        They were never written.
    """
    body = connection.execute(select(site_state.c.body)).scalar_one_or_none()
    if body is None:
        raise NoSite("the settings of the site are not in the database: run 'photospine db upgrade'")
    return site_from_json(body)


def site_or_none(connection: Connection) -> Site | None:
    """The settings; None in a database that has none yet."""
    try:
        return load_site(connection)
    except NoSite:
        return None


def save_site(connection: Connection, site: Site, stored: tuple[str, ...]) -> bool:
    """Write the settings; tells whether they changed anything.

    Parameters
    ----------
    stored
        The purposes that have stored answers under these settings (:func:`consent.decided.stored_purposes`).
    """
    from consent.store import history  # it reads facts, and whoever reads facts needs this module

    lock(connection)
    body, purposes = site_to_json(site), json.dumps(list(stored))
    row = connection.execute(select(site_state.c.version, site_state.c.body, site_state.c.stored)).one_or_none()
    if row is None:
        connection.execute(insert(site_state).values(id=1, version=1, epoch=1, stored=purposes, body=body))
        former: set[str] = set()
    elif row.body == body and row.stored == purposes:
        return False
    else:
        history.supersede_results(connection, site_from_json(row.body), site)
        history.supersede_site(connection)
        connection.execute(
            update(site_state).values(
                version=site_state.c.version + 1, epoch=site_state.c.epoch + 1, stored=purposes, body=body
            )
        )
        former = set(json.loads(row.stored))
    for purpose in stored:
        if purpose not in former:
            present = select(patient_state.c.patient).where(patient_state.c.purpose == purpose)
            connection.execute(
                insert(patient_state).from_select(
                    ["patient", "purpose", "stale", "live", "valid_from", "valid_until", "epoch"],
                    select(
                        patient.c.patient,
                        literal(purpose),
                        literal(True),
                        literal(False),
                        literal(0),
                        literal(None, patient_state.c.valid_until.type),
                        literal(0),
                    ).where(patient.c.patient.not_in(present)),
                )
            )
    return True


def stored_purposes(connection: Connection) -> tuple[str, ...]:
    """The purposes that have stored answers."""
    found = connection.execute(select(site_state.c.stored)).scalar_one_or_none()
    return tuple(json.loads(found)) if found else ()
