"""Data sets, their readers, splits and encoding."""
