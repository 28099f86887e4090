"""The database: engines and units of work for SQLite and PostgreSQL, the tables, and how they come about."""
