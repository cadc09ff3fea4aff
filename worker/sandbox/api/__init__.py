"""A stand-in for the Cart API: the documented answers, a ledger of what came, and faults on demand.

    with Sandbox(keys={"sk_fake"}) as sandbox:
        sandbox.set_faults([{"kind": "cart", "count": 3, "status": 503}])

Importing this needs no server library; starting a sandbox does.
"""

from worker.sandbox.api.backend import Options
from worker.sandbox.api.client import SandboxControl
from worker.sandbox.api.errors import FaultsError, SandboxError, SandboxUnavailableError
from worker.sandbox.api.faults import Rule, parse_faults
from worker.sandbox.api.sandbox import Sandbox, serve, server_tls
from worker.sandbox.api.views import FaultState, SandboxState, SeenRequest, StoredRecord

__all__ = [
    "FaultState",
    "FaultsError",
    "Options",
    "Rule",
    "Sandbox",
    "SandboxControl",
    "SandboxError",
    "SandboxState",
    "SandboxUnavailableError",
    "SeenRequest",
    "StoredRecord",
    "parse_faults",
    "serve",
    "server_tls",
]
