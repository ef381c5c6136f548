"""Letters: one for every kind and reader, in the reader's notation, and harmless whatever is in it.

They are made from samples; that samples look like what is really told is tested as well.
"""

from typing import Any

import pytest
from jinja2 import TemplateNotFound

from handlers.guard_view import GuardView
from handlers.notifications.mail import one_line
from handlers.notifications.samples import sample
from handlers.notifications.wording import TEMPLATES, money, template_name, write_letter
from handlers.view import RequestView
from refunds.notifications import LETTERS, Audience, Kind
from tests.support.facts import NOON

WRITTEN = [(kind, reader) for kind in Kind for reader in sorted(LETTERS[kind])]
EVIL = "<script>alert('x')</script>\r\nBcc: victim@shop.example"


@pytest.mark.parametrize("kind, reader", WRITTEN)
def test_every_reader_gets_a_whole_letter(kind: Kind, reader: Audience) -> None:
    payload = sample(kind, NOON).payload
    letter = write_letter(kind, reader, payload, locale="en_US")
    assert letter.subject
    assert "\n" not in letter.subject
    assert letter.html.startswith("<!doctype html>")
    assert "<p>" in letter.html
    for text in (letter.subject, letter.text, letter.html):
        for rest in ("None", "{{", "{%", "Undefined"):
            assert rest not in text
    if reader is Audience.ACCOUNT:
        # Whoever sells there hears of money and what to do, not of our rules.
        assert payload["why"] not in letter.text


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("reader", Audience)
def test_nobody_else_gets_one(kind: Kind, reader: Audience) -> None:
    if reader in LETTERS[kind]:
        return
    with pytest.raises(TemplateNotFound):
        write_letter(kind, reader, sample(kind, NOON).payload, locale="en_US")


def test_there_is_no_template_that_nobody_gets() -> None:
    files = {str(file.relative_to(TEMPLATES)) for file in TEMPLATES.glob("*/*")}
    assert files == {template_name(kind, reader) for kind, reader in WRITTEN}


@pytest.mark.parametrize("kind", Kind)
def test_samples_of_requests_have_the_fields_of_the_api(kind: Kind) -> None:
    told = sample(kind, NOON)
    assert set(told.payload) >= {"type", "timestamp", "data", "why"}
    if told.payload["data"]["object"] == "refund_request":
        assert set(told.payload["data"]) == set(RequestView.__annotations__)
        assert "buyer_text" in told.payload
    if told.payload["data"]["object"] == "payout_guard":
        assert set(told.payload["data"]) == set(GuardView.__annotations__)


@pytest.mark.parametrize("kind, reader", WRITTEN)
def test_what_strangers_wrote_stays_text(kind: Kind, reader: Audience) -> None:
    payload: dict[str, Any] = dict(sample(kind, NOON).payload)
    payload["why"] = EVIL
    payload["data"] = {**payload["data"], "id": EVIL, "type": EVIL, "account": EVIL, "charge": EVIL}
    payload["data"]["next_steps"] = [EVIL]
    letter = write_letter(kind, reader, payload, locale="en_US")
    assert "<script>" not in letter.html
    assert "\n" not in one_line(letter.subject)
    assert "\r" not in one_line(letter.subject)
    # A digest is made of figures, an account's letter of its own payment.
    if reader is not Audience.ACCOUNT and kind is not Kind.DIGEST:
        assert "&lt;script&gt;" in letter.html
        assert "<script>" in letter.text, "text is not escaped: nobody reads it as HTML"


# 1,234 minor units: two decimals but for yen, which have none, and dinars, which have three.
@pytest.mark.parametrize(
    "amount, currency, locale, shown",
    [
        (123_456, "usd", "en_US", "1,234.56 USD"),
        (123_456, "eur", "de_DE", "1.234,56 EUR"),
        (123_456, "chf", "de_CH", "1\u2019234.56 CHF"),
        (1_234, "jpy", "en_US", "1,234 JPY"),
        (123_456, "kwd", "en_US", "123.456 KWD"),
        (-5, "usd", "en_US", "-0.05 USD"),
        (None, None, "en_US", "an amount not known yet"),
    ],
)
def test_money_is_written_as_its_readers_do(
    amount: int | None, currency: str | None, locale: str, shown: str
) -> None:
    assert money({"amount": amount, "currency": currency}, locale) == shown


def test_a_request_that_is_not_known_yet_can_be_written_about() -> None:
    payload: dict[str, Any] = dict(sample(Kind.DEADLINE_NEAR, NOON).payload)
    unknown = dict.fromkeys(
        ("amount", "currency", "need", "shortfall", "charge", "account", "deadline", "decision")
    )
    payload["data"] = {**payload["data"], **unknown, "payment_intent": None}
    for reader in LETTERS[Kind.DEADLINE_NEAR]:
        letter = write_letter(Kind.DEADLINE_NEAR, reader, payload, locale="en_US")
        assert "not known" in letter.text
