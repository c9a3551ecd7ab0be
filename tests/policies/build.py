# SPDX-License-Identifier: Apache-2.0
"""Policies and texts that several tests use."""

from typing import Any

from apps.policies.domain import Action, Detector, Facts, Policy, Segment

ANN = Facts(key_id="key_ann", team_id="team_red", department="Finance", groups=("staff",), model="small")
CARD = "4111 1111 1111 1111"
CARDS = Detector(kind="pii", params={"entities": ["CREDIT_CARD"]})
EMAILS = Detector(kind="pii", params={"entities": ["EMAIL"]})
BOTH = Detector(kind="pii", params={"entities": ["CREDIT_CARD", "EMAIL"]})


def dummy(literal: str = "", **params: Any) -> Detector:
    """A detector that does as it is told."""
    return Detector(kind="dummy", params={"literal": literal, **params})


def policy(name: str, *detectors: Detector, action: Action = Action.BLOCK, **more: Any) -> Policy:
    """A policy whose id is made of its name."""
    return Policy(
        id=f"pol_{name.lower().replace(' ', '_')}",
        organisation_id="org_a",
        name=name,
        version=1,
        detectors=detectors,
        action=action,
        **more,
    )


def user(text: str) -> list[Segment]:
    """A prompt of one segment."""
    return [Segment("user", text)]


def assistant(text: str) -> list[Segment]:
    """An answer of one segment."""
    return [Segment("assistant", text)]
