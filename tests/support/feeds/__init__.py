"""Local servers of feeds for tests."""
