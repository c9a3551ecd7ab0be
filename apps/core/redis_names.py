# SPDX-License-Identifier: Apache-2.0
"""Every name used in Redis, once. Names of an organisation carry its id as hash tag: one script, one slot."""

# Names of the installation. The tag keeps them in one slot, so that one transaction can touch several.
ORGANISATIONS = "sf:{sf}:organisations"  # SET of organisation ids that are published
EPOCH = "sf:{sf}:epoch"  # STRING made anew when everything was published; gone after a flush
PUBLISHING = "sf:{sf}:publishing"  # STRING lock of whoever republishes
EDITS = "sf:{sf}:edits"  # CHANNEL of `Edit` values
ASKED = "sf:{sf}:asked"  # LIST of key digests that gateways ask control for, bounded
ASKED_MOST = 1000
LEASES = "sf:{sf}:leases"  # HASH lease id -> JSON of the process that holds it


def room(organisation_id: str, name: str) -> str:
    """HASH id -> published value of a small room: providers, models, targets, policies, organisations."""
    return f"sf:{{{organisation_id}}}:room:{name}"


def versions(organisation_id: str) -> str:
    """HASH room -> how many edits were published: what the slow poll compares."""
    return f"sf:{{{organisation_id}}}:versions"


def key(digest: str) -> str:
    """STRING a virtual key by its digest. The organisation is not known before it is read, so the digest is the tag."""
    return f"sf:{{{digest}}}:key"


def lease(lease_id: str) -> str:
    """STRING that a gateway process renews; gone when the process is."""
    return f"sf:{{sf}}:lease:{lease_id}"


def counters(organisation_id: str) -> str:
    """STRING the epoch for which counters were rebuilt; without it no hard budget is admitted."""
    return f"sf:{{{organisation_id}}}:counters"


def rates(organisation_id: str, node_id: str) -> str:
    """HASH of a rate node: minute -> requests, and `now` -> requests under way."""
    return f"sf:{{{organisation_id}}}:rates:{node_id}"


def spend(organisation_id: str, budget_id: str) -> str:
    """HASH of a budget: `<window start>:spent` and `<window start>:held` -> micro-dollars."""
    return f"sf:{{{organisation_id}}}:spend:{budget_id}"


def open_records(organisation_id: str, lease_id: str) -> str:
    """HASH request id -> `OpenRecord` of one gateway process."""
    return f"sf:{{{organisation_id}}}:open:{lease_id}"


def open_leases(organisation_id: str) -> str:
    """SET of lease ids that may have open records."""
    return f"sf:{{{organisation_id}}}:open-leases"


def cached(organisation_id: str, digest: str) -> str:
    """STRING a stored answer of the exact phase."""
    return f"sf:{{{organisation_id}}}:cached:{digest}"


def settled(organisation_id: str) -> str:
    """SET of requests settled since the counters were lost, while `counters` is missing; a rebuild leaves them out."""
    return f"sf:{{{organisation_id}}}:settled"


def told(organisation_id: str) -> str:
    """SET of guessed exchanges that the store was told of later; of a dead process, only the others still count."""
    return f"sf:{{{organisation_id}}}:told"


def rebuilding(organisation_id: str) -> str:
    """STRING token of the rebuild under way; a flush takes it away, and with it the right to finish."""
    return f"sf:{{{organisation_id}}}:rebuilding"


def corrected(organisation_id: str) -> str:
    """SET of corrections that the spend counters include."""
    return f"sf:{{{organisation_id}}}:corrected"
