"""Says which policy an account's requests are judged by: its own words, its tier's, the default.

It may not read the policy file or apply a rule.
"""

from handlers.services import Services
from refunds.ids import AccountId
from refunds.policy import Policy
from store.accounts import tier_of
from store.database import Unit


def policy_of(services: Services, unit: Unit, account: AccountId | None) -> Policy:
    """Return the policy that holds for an account now; `None` is the platform's own lane."""
    return services.policies.policy_for(account, tier_of(unit, account))
