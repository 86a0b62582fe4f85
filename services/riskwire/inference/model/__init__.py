"""The model: bundle, session, micro-batching engine, decoding."""
