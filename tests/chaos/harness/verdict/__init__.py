"""The verdict of a chaos run: the reference run, the comparison of all records with it, and the report."""
