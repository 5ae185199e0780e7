"""The one door to Hydra: overrides in; a checked `Config`, plugins and addresses out."""

from hsae.build.addresses import address, job_module, neighbour, words
from hsae.build.compose import compose, conf_dir, diagnose, from_hydra, settle, spelled
from hsae.build.lines import expand, keys, needs_of, quoted, without
from hsae.build.mistakes import Mistaken
from hsae.build.plugins import plugin, settings

__all__ = [
    "Mistaken",
    "address",
    "compose",
    "conf_dir",
    "diagnose",
    "expand",
    "from_hydra",
    "job_module",
    "keys",
    "needs_of",
    "neighbour",
    "plugin",
    "quoted",
    "settings",
    "settle",
    "spelled",
    "without",
    "words",
]
