"""What this user may do, as the brokers tell it in their descriptions: nothing is tried out."""

from worker.ops.check.finding import Finding, ok, red, warn


def rights(kind: str, name: str, operations: frozenset[str] | None, needs: frozenset[str]) -> Finding:
    """Compares what this user may do on a topic or a group with what the worker needs. Source: Kafka's security
    documentation, authorization primitives.
    """
    check, needed = f"{kind} rights", " and ".join(sorted(needs))
    if operations is None:
        return warn(check, name, "not told by these brokers", f"make sure that this user has {needed}", allowed=None)
    missing = sorted(needs - operations)
    facts = {"allowed": sorted(operations)}
    if missing:
        words = " and ".join(missing)
        return red(check, name, f"{words} not allowed", f"grant this user {words} on {kind} {name}", **facts)
    return ok(check, name, f"{needed} allowed", **facts)
