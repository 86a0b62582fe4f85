"""From the bytes of a document to clean, identified items."""
