"""Decisions of people about alerts: checked, published as commands, and put on every partition of `alerts`."""

from riskwire.deciding.decider import Decider
from riskwire.deciding.request import DecisionRequest, decision_command
from riskwire.deciding.stage import DecisionsStage

__all__ = ["Decider", "DecisionRequest", "DecisionsStage", "decision_command"]
