"""The feed list, the polling schedule, and the status of feeds."""
