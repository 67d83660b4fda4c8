"""What this machine can run, and what a checkpoint is; without torch and without the network."""

from adapt.doctor.checkpoint import Verdict, examine
from adapt.doctor.machine import extras, machine, services

__all__ = ["Verdict", "examine", "extras", "machine", "services"]
