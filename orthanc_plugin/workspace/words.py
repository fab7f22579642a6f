"""How dates, ages and intervals read on the pages."""

from __future__ import annotations

from datetime import date, datetime, tzinfo

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEK = 7
_FULL_DATE = 3


def day(value: datetime | date, zone: tzinfo | None = None) -> str:
    """``12 May 2026``, in the site's time zone."""
    local = value.astimezone(zone) if isinstance(value, datetime) and zone is not None else value
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


def partial_date(value: str) -> str:
    """A FHIR date as people write it: ``1981``, ``Mar 1981``, ``14 Mar 1981``; other text unchanged."""
    parts = value.split("T")[0].split("-")
    try:
        numbers = [int(part) for part in parts]
        if len(numbers) == 1:
            return f"{numbers[0]}"
        month = _MONTHS[numbers[1] - 1]
    except (ValueError, IndexError):
        return value
    return f"{month} {numbers[0]}" if len(numbers) < _FULL_DATE else f"{numbers[2]} {month} {numbers[0]}"


def age(birth: str, today: date) -> str:
    """Age in whole years, or nothing where the birth date is not known to the day, or lies ahead."""
    try:
        born = date.fromisoformat(birth)
    except ValueError:
        return ""
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if years < 0:
        return ""
    return f"{years} years" if years != 1 else "1 year"


def interval(earlier: datetime, later: datetime) -> str:
    """The time between two photos, in the unit that a clinician would say."""
    days = abs((later - earlier).days)
    if days < 1:
        return "same day"
    if days < 2 * _WEEK:
        return _plural(days, "day")
    if days < 112:  # 16 weeks: courses are counted in weeks, results in months
        return _plural(round(days / _WEEK), "week")
    months = round(days / 30.44)
    return _plural(months, "month") if months < 24 else f"{days / 365.25:.1f} years"


def too_many(wait: int) -> str:
    """What is said to whoever has to wait before the next guess, in seconds."""
    length = f"{wait} seconds" if wait < 90 else f"{round(wait / 60)} minutes"
    return f"Too many attempts. Please wait {length}, then try again."


def after(first: datetime, photo: datetime) -> str:
    """When a photo of a pair was taken, by the first one: ``After 12 weeks``."""
    return "After " + interval(first, photo) if photo.date() != first.date() else "Same day"


def about_old(moment: datetime, now: datetime) -> str:
    """How long ago something was, so roughly that its day cannot be reckoned: ``about 4 months old``."""
    months = int((now - moment).days / 30.44)
    if months < 1:
        return "less than a month old"
    return f"about {_plural(months, 'month')} old" if months < 24 else f"about {_plural(months // 12, 'year')} old"


def _plural(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def initials(name: str) -> str:
    """Two letters for a list entry."""
    words = [word for word in name.replace(",", " ").split() if word[:1].isalpha()]
    return "".join(word[0] for word in ([words[0], words[-1]] if len(words) > 1 else words)).upper()
