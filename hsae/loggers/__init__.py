"""Where a job's numbers go: always into log.jsonl beside its results, and into one more place by choice."""

from hsae.loggers.fan import Fan, logs
from hsae.loggers.log import Log, Run

__all__ = ["Fan", "Log", "Run", "logs"]
