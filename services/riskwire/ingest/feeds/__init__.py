"""The feed list and the polling schedule."""
