"""The database: what we concluded, in SQLite or PostgreSQL, one model for both."""
