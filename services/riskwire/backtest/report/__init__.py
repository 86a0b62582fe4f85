"""The report of a back-test: `page` fills the template, `drawings` draws with Matplotlib where it is installed."""

from riskwire.backtest.report.drawings import Drawing, draw, has_matplotlib
from riskwire.backtest.report.page import render_page

__all__ = ["Drawing", "draw", "has_matplotlib", "render_page"]
