"""Assembles the processes: which stages run in one process, and their health."""
