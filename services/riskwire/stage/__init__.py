"""Stages: how they run, isolate refused records, write dead letters and keep state."""

from riskwire.stage.batch_loop import BatchStage, Step, Task, TaskWithFirstStep
from riskwire.stage.dead_letters import (
    commit_with_dead_letters,
    cut_to_size,
    dead_letter,
    publish_with_dead_letters,
)
from riskwire.stage.effect_loop import EffectStage, EffectTask
from riskwire.stage.isolation import MAX_REFUSED_IN_A_ROW, Isolation
from riskwire.stage.run import Stage, run_stage
from riskwire.stage.state import KeyedState

__all__ = [
    "MAX_REFUSED_IN_A_ROW",
    "BatchStage",
    "EffectStage",
    "EffectTask",
    "Isolation",
    "KeyedState",
    "Stage",
    "Step",
    "Task",
    "TaskWithFirstStep",
    "commit_with_dead_letters",
    "cut_to_size",
    "dead_letter",
    "publish_with_dead_letters",
    "run_stage",
]
