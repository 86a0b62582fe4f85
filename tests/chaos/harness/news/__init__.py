"""The news of a chaos run: an archive that is replayed, and feeds that ingesters poll meanwhile."""
