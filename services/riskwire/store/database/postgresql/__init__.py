"""What only PostgreSQL needs: sessions, one writer at a time, tables partitioned by time, a role for readers."""
