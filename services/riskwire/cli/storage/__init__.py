"""Commands about the store as a whole: its schema, exports, backups."""
