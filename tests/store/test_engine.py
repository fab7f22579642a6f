"""The unit of work."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from consent.store.engine import transaction


def test_an_error_does_not_say_whom_a_statement_was_about(engine: Engine) -> None:
    with pytest.raises(SQLAlchemyError) as caught, transaction(engine) as connection:
        connection.execute(text("SELECT nothing FROM nowhere WHERE name = :name"), {"name": "Papadaki"})
    assert "nowhere" in str(caught.value)
    assert "Papadaki" not in str(caught.value)
