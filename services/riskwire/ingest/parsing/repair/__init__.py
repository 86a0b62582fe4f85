"""Repairs what is wrong with the bytes and the markup of a document, and says what was repaired."""
