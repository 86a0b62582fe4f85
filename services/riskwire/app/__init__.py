"""Assembles processes from stages: what a process opens, what it runs, and its health."""
