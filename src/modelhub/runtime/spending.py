"""What the keys of a hub have spent and may spend, by the accounts that vendors bill."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias, final

from modelhub.rules.routing.spending import Allowance, Counted

if TYPE_CHECKING:
    from modelhub.runtime.deployments import Deployment
    from modelhub.types.cost import Cost
    from modelhub.types.credential import CredentialKey

__all__ = ["Account", "Spending", "account_of"]

Account: TypeAlias = "tuple[str, CredentialKey]"
"""What a vendor counts a deployment's calls to: the provider and the credential, at whichever address."""

_UNCOUNTED: dict[Counted, str] = {
    "part": "a part of what calls cost is unknown",
    "unknown": "what calls cost is unknown",
    "other currency": "calls cost money in another currency",
}

_log = logging.getLogger("modelhub")


def account_of(deployment: Deployment) -> Account:
    """Return what a vendor counts a deployment's calls to."""
    return deployment.plugin.id, deployment.credential.account


@final
class Spending:
    """The money of every account that has a budget.

    Args:
        wall: Seconds since 1970, by which periods of budgets begin and end.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._allowances: dict[Account, Allowance] = {}
        self._uncounted: set[Account] = set()

    def exhausted(self, deployment: Deployment) -> float | None:
        """Return the seconds until an account may spend again, by the settings that it is routed to by.

        Returns:
            ``None`` where some is left, or where there is no budget.
        """
        allowance = self._allowance(deployment)
        return None if allowance is None else allowance.exhausted(self._wall())

    def spent(self, deployment: Deployment, cost: Cost | None) -> float | None:
        """Count what a call cost, and return what `exhausted` does.

        Args:
            deployment: Where it was.
            cost: ``None`` where nobody knows.
        """
        account = account_of(deployment)
        # Of a call from before the settings changed it is not the amount that counts any more.
        allowance = self._allowances.get(account) if deployment.budget is not None else None
        allowance = allowance or self._allowance(deployment)
        if allowance is None:
            return None
        counted = allowance.spent(cost, self._wall())
        if counted != "all" and account not in self._uncounted:
            self._uncounted.add(account)
            _log.warning("the budget of %s does not count everything: %s", deployment.id, _UNCOUNTED[counted])
        return allowance.exhausted(self._wall())

    def forget(self, known: Collection[object]) -> None:
        """Forget accounts that nothing else is known of any more and that have spent nothing in this period."""
        wall = self._wall()
        for account, allowance in list(self._allowances.items()):
            if account not in known and allowance.left(wall) >= allowance.amount:
                del self._allowances[account]
        self._uncounted.intersection_update(known)

    def _allowance(self, deployment: Deployment) -> Allowance | None:
        budget = deployment.budget
        if budget is None:
            return None
        account, amount = account_of(deployment), Decimal(str(budget.amount))
        known = self._allowances.get(account)
        if known is None or (known.currency, known.per) != (budget.currency, budget.per):
            known = self._allowances[account] = Allowance(amount, budget.currency, budget.per)
        known.amount = amount
        return known

    def __repr__(self) -> str:
        return f"<Spending of {len(self._allowances)} accounts>"
