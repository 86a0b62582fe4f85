"""Evaluation: scores of a precision and the metrics behind them."""
