"""Refunds of every charge type with what each takes from whom, worked out by hand.

It may not compute a need: the unit test compares the table with the core, and the story with what
a sandbox's accounts really lost.
"""

from dataclasses import dataclass, replace

from refunds.facts import ChargeType
from refunds.money import Currency
from tests.support.facts import EUR, JPY, KWD, USD


@dataclass(frozen=True, kw_only=True)
class Row:
    """A payment, what happened to it before, a refund, and its need; minor units.

    `parts` are the transfers' amounts, one account each. `taken`, `need` and `buffer` hold one
    figure for each account.
    """

    kind: ChargeType
    paid: int = 10_000
    currency: Currency = USD
    parts: tuple[int, ...] = ()
    fee: int | None = None
    """The application fee."""
    on_behalf_of: bool = False
    """The payment is made on behalf of another account than the one that gets the money."""
    settles: Currency | None = None
    """What the accounts settle in; the payment's currency unless another one is given."""
    settled: int | None = None
    """Gross of what arrived in the account, where that is another currency."""
    pending: int | None = None
    """Net of what arrived, where it is pending still and the account has nothing else."""
    before: tuple[int, ...] = ()
    """Refunds made before."""
    taken: tuple[int, ...] = (0, 0)
    """What those took back of each transfer."""
    by_others: tuple[int, ...] = (0, 0)
    """What somebody else reversed of each transfer before."""
    refund: int
    fee_back: bool = False
    need: tuple[int, ...] = ()
    buffer: int = 0
    """At 2 %."""
    credited: int = 0
    """Fee that the account gets back; it lessens what the account loses, never the need."""

    @property
    def account_currency(self) -> Currency:
        """What the accounts settle in."""
        return self.settles or self.currency


# A = refund, C = charge, T = transfer. Euros are 0.8 of a dollar.
_FEE = Row(kind=ChargeType.DESTINATION, parts=(10_000,), fee=1_000, refund=10_000, need=(10_000,))
_PART = Row(kind=ChargeType.DESTINATION, parts=(8_775,), refund=10_000, need=(8_775,))
_SPLIT = Row(kind=ChargeType.SEPARATE, parts=(6_000, 3_000), refund=10_000, need=(6_000, 3_000))
_DIRECT = Row(kind=ChargeType.DIRECT, fee=1_000, refund=10_000, need=(10_000,))
_OWN = Row(kind=ChargeType.PLATFORM, refund=10_000)

ROWS = {
    # Destination, application fee: T = C, the fee is taken out of the account afterwards.
    "destination, full": _FEE,  # all of T; the fee the platform keeps does not lessen it
    "destination, partial": replace(_FEE, refund=3_333, need=(3_333,)),  # 3333 · 10000 / 10000
    "destination, second partial": replace(
        # of the first C and T, not of what is left: 2500 · 10000 / 10000
        _FEE,
        before=(3_000,),
        taken=(3_000,),
        refund=2_500,
        need=(2_500,),
    ),
    "destination, last partial": replace(
        # completes C: 10000 - 3000 - 2500
        _FEE,
        before=(3_000, 2_500),
        taken=(5_500,),
        refund=4_500,
        need=(4_500,),
    ),
    # The order of credit and debit is undocumented: all 10000 must be there, 1000 come back.
    "destination, full, fee back": replace(_FEE, fee_back=True, credited=1_000),
    "destination, partial, fee back": replace(
        # 3333 · 1000 / 10000 = 333.3 come back
        _FEE,
        refund=3_333,
        need=(3_333,),
        fee_back=True,
        credited=333,
    ),
    # Whose name is on the buyer's statement makes no difference to whose balance pays.
    "destination, on behalf of another account": replace(_FEE, on_behalf_of=True),
    "destination, own money pending": replace(
        # 10000 - 1000 of fee = 9000 are pending and cover the 5000
        _FEE,
        pending=9_000,
        refund=5_000,
        need=(5_000,),
    ),
    # Destination, transfer_data[amount]: T = 8775.
    "partial transfer, full": _PART,
    "partial transfer, partial": replace(
        _PART,
        refund=3_333,
        need=(2_925,),  # 3333 · 8775 / 10000 = 2924.7
    ),
    "partial transfer, rounded up": replace(
        _PART,
        refund=1_001,
        need=(879,),  # 1001 · 8775 / 10000 = 878.4: at most, Stripe takes 878
    ),
    "partial transfer, second partial": replace(
        _PART, before=(3_333,), taken=(2_925,), refund=3_333, need=(2_925,)
    ),
    "partial transfer, last partial": replace(
        # 8775 - 2 · 2925, where the share would be 3334 · 8775 / 10000 = 2925.6
        _PART,
        before=(3_333, 3_333),
        taken=(5_850,),
        refund=3_334,
        need=(2_925,),
    ),
    "partial transfer, reversed in part by others": replace(
        # the share still fits into the 2775 left: 2632.5
        _PART,
        by_others=(6_000,),
        refund=3_000,
        need=(2_633,),
    ),
    "partial transfer, reversed beyond the share by others": replace(
        _PART,
        by_others=(7_775,),
        refund=3_000,
        need=(1_000,),  # no more than 8775 - 7775
    ),
    "partial transfer, reversed in full by others": replace(
        _PART, by_others=(8_775,), refund=3_000, need=(0,)
    ),
    "partial transfer, converted, full": replace(
        # 8775 · 0.8 = 7020; 2 % of it = 140.4
        _PART,
        settles=EUR,
        settled=7_020,
        need=(7_020,),
        buffer=141,
    ),
    "partial transfer, converted, partial": replace(
        # T: 2924.7 → 2925; 2925 · 7020 / 8775 = 2340; 2 % of it = 46.8
        _PART,
        settles=EUR,
        settled=7_020,
        refund=3_333,
        need=(2_340,),
        buffer=47,
    ),
    "partial transfer, zero decimals": replace(
        # 1000 · 4000 / 5001 = 799.84 yen
        _PART,
        paid=5_001,
        currency=JPY,
        parts=(4_000,),
        refund=1_000,
        need=(800,),
    ),
    "partial transfer, three decimals": replace(
        # 5000 · 9990 / 10010 = 4990.01 fils
        _PART,
        paid=10_010,
        currency=KWD,
        parts=(9_990,),
        refund=5_000,
        need=(4_991,),
    ),
    # Separate charges and transfers: 6000 and 3000, 1000 stayed with the platform.
    "split, full": _SPLIT,
    "split, partial": replace(
        # 3333 · 6000 / 10000 = 1999.8; 3333 · 3000 / 10000 = 999.9
        _SPLIT,
        refund=3_333,
        need=(2_000, 1_000),
    ),
    "split, second partial": replace(
        _SPLIT, before=(3_333,), taken=(2_000, 1_000), refund=3_333, need=(2_000, 1_000)
    ),
    "split, last partial": replace(
        # what is left: 6000 - 4000 and 3000 - 2000
        _SPLIT,
        before=(3_333, 3_333),
        taken=(4_000, 2_000),
        refund=3_334,
        need=(2_000, 1_000),
    ),
    "split, reversed in part by others": replace(
        _SPLIT,
        by_others=(4_500, 0),
        need=(1_500, 3_000),  # 6000 - 4500
    ),
    "split, reversed in full by others": replace(_SPLIT, by_others=(6_000, 0), need=(0, 3_000)),
    "split, converted": replace(
        # One account: 3333 · 8775 / 10000 = 2924.7 → 2925; · 0.8 = 2340; 2 % of it = 46.8
        _SPLIT,
        parts=(8_775,),
        settles=EUR,
        settled=7_020,
        refund=3_333,
        need=(2_340,),
        buffer=47,
    ),
    "split, zero decimals": replace(
        # 1000 · 4000 / 5001 = 799.84, 1000 · 900 / 5001 = 179.96 yen
        _SPLIT,
        paid=5_001,
        currency=JPY,
        parts=(4_000, 900),
        refund=1_000,
        need=(800, 180),
    ),
    "split, own money pending": replace(
        _SPLIT,
        parts=(6_000,),
        pending=6_000,
        need=(6_000,),  # all of it is pending
    ),
    # Direct: all of the refund, in the account the payment lives in.
    "direct, full": _DIRECT,
    "direct, partial": replace(_DIRECT, refund=3_333, need=(3_333,)),
    "direct, second partial": replace(_DIRECT, before=(3_000,), refund=2_500, need=(2_500,)),
    "direct, last partial": replace(_DIRECT, before=(3_000, 2_500), refund=4_500, need=(4_500,)),
    "direct, full, fee back": replace(_DIRECT, fee_back=True, credited=1_000),
    "direct, partial, fee back": replace(
        # 3333 · 1000 / 10000 = 333.3 come back
        _DIRECT,
        refund=3_333,
        need=(3_333,),
        fee_back=True,
        credited=333,
    ),
    "direct, converted": replace(
        # 3333 · 8000 / 10000 = 2666.4 → 2667; 2 % of it = 53.34
        _DIRECT,
        fee=None,
        settles=EUR,
        settled=8_000,
        refund=3_333,
        need=(2_667,),
        buffer=54,
    ),
    "direct, zero decimals": replace(
        _DIRECT, paid=5_001, currency=JPY, fee=None, refund=1_000, need=(1_000,)
    ),
    "direct, own money pending": replace(
        # 10000 - 1000 of fee - Stripe's 320 = 8680 are pending and cover the 5000
        _DIRECT,
        pending=8_680,
        refund=5_000,
        need=(5_000,),
    ),
    # The platform's own: nobody else is asked.
    "platform, full": _OWN,
    "platform, partial": replace(_OWN, refund=3_333),
    "platform, last partial": replace(_OWN, before=(3_333, 3_333), refund=3_334),
    "platform, zero decimals": replace(_OWN, paid=5_001, currency=JPY, refund=1_000),
}
