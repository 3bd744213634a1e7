"""Generic actors: mailbox, serve loop, supervision, backoff. Knows nothing of tasks or agents.

Rule: what is not exported here is private to the runtime.
"""

from actors.runtime.actor import Actor, ActorHandle, ActorInfo, RestartLimitExceeded, spawn
from actors.runtime.backoff import NO_RESTARTS, Backoff, RestartLimit
from actors.runtime.border import ProcessDied, apart, contained, split_fault
from actors.runtime.call import Call, Deferred
from actors.runtime.ref import PartStream, Ref
from actors.runtime.request import Request, StreamRequest

__all__ = [
    "NO_RESTARTS",
    "Actor",
    "ActorHandle",
    "ActorInfo",
    "Backoff",
    "Call",
    "Deferred",
    "PartStream",
    "ProcessDied",
    "Ref",
    "Request",
    "RestartLimit",
    "RestartLimitExceeded",
    "StreamRequest",
    "apart",
    "contained",
    "spawn",
    "split_fault",
]
