"""Commands of the alarm: the back-test, and what belongs to it."""
