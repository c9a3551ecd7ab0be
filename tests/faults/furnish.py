# SPDX-License-Identifier: Apache-2.0
"""Makes an organisation with a model and two keys, through the services; prints what clients need as JSON."""

import json
import sys
from decimal import Decimal
from typing import Any

from smartflow_site import rowsonly


def furnish(called: str, upstream_url: str, script: str) -> dict[str, Any]:
    """All rows; a key named `hard` has a hard budget, one named `counted` a budget without a limit."""
    # Rows can be imported only after Django is set up.
    from apps.changes.domain import system
    from apps.identity import services as people
    from apps.keys import services as keys
    from apps.providers import services as catalogue
    from apps.routing import services as routing

    organisation = people.create_organisation(actor=system(""), name=called)
    actor = system(organisation.id)
    team = people.create_team(actor=actor, name="Claims")
    provider = catalogue.create_provider(
        actor=actor, name="upstream", base_url=upstream_url, private_allowed=True
    )
    model = catalogue.create_model(
        actor=actor, name="busy", output_cap=100, input_rate=Decimal(1), output_rate=Decimal(2)
    )
    routing.create_target(
        actor=actor, name="busy", model_id=model.id, provider_id=provider.id, upstream_model=script
    )
    made: dict[str, Any] = {"id": organisation.id, "secrets": {}, "budgets": {}}
    for name, limit in (("hard", 1_000_000_000), ("counted", None)):
        budget = keys.create_budget(actor=actor, name=name, limit_micro=limit, hard=limit is not None)
        _key, secret = keys.issue_key(actor=actor, name=name, team_id=team.id, budget_ids=[budget.id])
        made["secrets"][name], made["budgets"][name] = secret, budget.id
    return made


if __name__ == "__main__":
    rowsonly.set_up()
    print(json.dumps(furnish(*sys.argv[1:])))
