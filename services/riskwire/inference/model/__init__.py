"""The model: bundle, session, batching engine, decoding."""
