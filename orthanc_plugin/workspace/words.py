"""How dates, ages and intervals read on the pages."""

from __future__ import annotations

from datetime import date, datetime, tzinfo

from fhir_mapping.errors import Refused
from orthanc_plugin.workspace import language
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import ngettext

_WEEK = 7

partial_date = language.partial_date


def day(value: datetime | date, zone: tzinfo | None = None) -> str:
    """``12 May 2026``, in the site's time zone."""
    local = value.astimezone(zone) if isinstance(value, datetime) and zone is not None else value
    return language.day(local)


def age(birth: str, today: date) -> str:
    """Age in whole years, or nothing where the birth date is not known to the day, or lies ahead."""
    try:
        born = date.fromisoformat(birth)
    except ValueError:
        return ""
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if years < 0:
        return ""
    return ngettext("%d year", "%d years", years) % years


def interval(earlier: datetime, later: datetime) -> str:
    """The time between two photos, in the unit that a clinician would say."""
    days = abs((later - earlier).days)
    if days < 1:
        return _("same day")
    if days < 2 * _WEEK:
        return ngettext("%d day", "%d days", days) % days
    if days < 112:  # 16 weeks: courses are counted in weeks, results in months
        weeks = round(days / _WEEK)
        return ngettext("%d week", "%d weeks", weeks) % weeks
    months = round(days / 30.44)
    if months < 24:
        return ngettext("%d month", "%d months", months) % months
    return _("%s years") % language.number(days / 365.25, "0.0")


def fault(error: Exception) -> str:
    """What an error says, in the language that is spoken."""
    if isinstance(error, Refused):
        told = ((each.element, language.said(each.text)) for each in error.issues)
        return "; ".join(f"{element}: {text}" if element else text for element, text in told)
    said = error.args[0] if error.args else ""
    return language.said(said) if isinstance(said, str) else str(error)


def too_many(wait: int) -> str:
    """What is said to whoever has to wait before the next guess, in seconds."""
    if wait < 90:
        return _("Too many attempts. Please wait %d seconds, then try again.") % wait
    return _("Too many attempts. Please wait %d minutes, then try again.") % round(wait / 60)


def after(first: datetime, photo: datetime) -> str:
    """When a photo of a pair was taken, by the first one: ``After 12 weeks``."""
    return _("After %s") % interval(first, photo) if photo.date() != first.date() else _("Same day")


def when(stated: str, moment: datetime | None, zone: tzinfo) -> str:
    """A day as exactly as it is known: ``12 May 2026``, ``May 2026``, ``2026``.

    Parameters
    ----------
    stated
        The year or month, where the day is not known; then ``moment`` is the beginning of it.
    """
    if stated:
        return partial_date(stated)
    return day(moment, zone) if moment is not None else _("Date unknown")


def about_old(moment: datetime, now: datetime) -> str:
    """How long ago something was, so roughly that its day cannot be reckoned: ``about 4 months old``."""
    months = int((now - moment).days / 30.44)
    if months < 1:
        return _("less than a month old")
    if months < 24:
        return ngettext("about %d month old", "about %d months old", months) % months
    return ngettext("about %d year old", "about %d years old", months // 12) % (months // 12)


def sentence(text: str) -> str:
    """A text that stands alone: it begins with a capital, in the language that is spoken."""
    said = language.said(text)
    return said[:1].upper() + said[1:]


def initials(name: str) -> str:
    """Two letters for a list entry."""
    words = [word for word in name.replace(",", " ").split() if word[:1].isalpha()]
    return "".join(word[0] for word in ([words[0], words[-1]] if len(words) > 1 else words)).upper()
