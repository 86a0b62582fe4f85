"""Simpler alarms on the same readings, each at the same number of notifications, to measure riskwire against.

A rival has one knob. `at_number` turns it so that the rival notifies as often as riskwire did.
"""

from riskwire.backtest.rivals.counters import Ewma, StaticCounter, ThreeSigma
from riskwire.backtest.rivals.keywords import KeywordList, read_stems
from riskwire.backtest.rivals.tuning import Rival, at_number

__all__ = ["Ewma", "KeywordList", "Rival", "StaticCounter", "ThreeSigma", "at_number", "read_stems"]
