"""The database: engine, unit of work, schema version, and the tables of the consent package."""
