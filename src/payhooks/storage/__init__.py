"""Everything at rest. Three adapters answer one contract suite: memory, SQLite, PostgreSQL."""
