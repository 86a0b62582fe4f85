"""The past of a newly watched target."""
