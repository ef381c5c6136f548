"""What the platform stands in for when a person releases what the account can't cover."""

from handlers.operate import Action, act
from refunds.ids import AttemptId
from refunds.money import Currency, Money
from store.attempts import attempts_of, steps_of
from store.ledger import exposures_of
from tests.support.stage import Stage


def test_exposure_is_counted_in_the_currency_the_account_owes(stage: Stage) -> None:
    # 100.00 USD settled as 80.00 EUR, of which the account can spare 40.00: 50.00 USD are reversed
    # (40.00 EUR), and the platform stands in for 80.00 - 40.00 = 40.00 EUR, not for 30.00.
    account = stage.account(default_currency="eur", country="DE")
    charge = stage.paid(account, 10_000, funds="pending", currency="usd")
    stage.has(account, -4000)
    request = stage.wish(charge)
    view = stage.view(request)
    assert (view["need"], view["spendable"]) == (
        {"amount": 8000, "currency": "eur", "fx_buffer": 160},
        4000,
    )
    act(stage.services, Action.RELEASE, request, note="we stand in", actor="ada")
    stage.work()
    assert stage.view(request)["status"] == "succeeded"
    with stage.services.database.reading() as unit:
        attempt = AttemptId(attempts_of(unit, request)[0].id)
        assert [step.object_minor for step in steps_of(unit, attempt)] == [None, 5000]
        assert exposures_of(unit, attempt) == {account: Money(4000, Currency("eur"))}
