"""The processes of a chaos run: their commands and settings, their supervision, their exits and logs."""
