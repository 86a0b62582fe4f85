"""Commands that follow what the pipeline did."""
