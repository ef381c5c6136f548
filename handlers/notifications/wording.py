"""Letters: a subject, a text and the same text as HTML, from one template each.

It may not address or send a letter; templates see a notification's payload and nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from refunds.money import Currency, exponent
from refunds.notifications import Audience, Kind

TEMPLATES: Final = Path(__file__).parent / "letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What somebody reads."""

    subject: str
    text: str
    html: str


def write_letter(
    kind: Kind, audience: Audience, payload: Mapping[str, Any], *, locale: str
) -> Letter:
    """Return the letter about a notification for an audience.

    Amounts and times are written as the locale does, with the currency's code and in UTC. Raise
    `jinja2.TemplateNotFound` where this audience gets no letter about this.
    """
    name = template_name(kind, audience)
    told = {**payload, "it": payload["data"]}
    subject, text, html = (
        _environment(locale, form).get_template(name).render(told)
        for form in ("subject", "txt", "html")
    )
    return Letter(subject=subject.strip(), text=text, html=html)


def template_name(kind: Kind, audience: Audience) -> str:
    """Return the template's file below `TEMPLATES`."""
    return f"{audience}/{kind.replace('.', '_')}.jinja"


def money(amount: Mapping[str, Any], locale: str) -> str:
    """Return `{"amount", "currency"}` in the locale's notation: `1.234,50 EUR`."""
    if amount["amount"] is None or amount["currency"] is None:
        return "an amount not known yet"
    decimals = exponent(Currency(amount["currency"]))
    value = Decimal(amount["amount"]).scaleb(-decimals)
    pattern = "#,##0" if decimals == 0 else f"#,##0.{'0' * decimals}"
    return f"{format_decimal(value, format=pattern, locale=locale)} {amount['currency'].upper()}"


def moment(seconds: int | None, locale: str) -> str:
    """Return a time in seconds since 1970 as the locale writes it, in UTC."""
    if seconds is None:
        return "a time not known yet"
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{format_datetime(at, 'medium', tzinfo=UTC, locale=locale)} UTC"


@cache
def _environment(locale: str, form: str) -> Environment:
    """Return what fills the templates for one form of a letter: they extend its layout."""
    known = str(Locale.parse(locale))
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        # All forms come from one template, and only in HTML are there characters to escape: for
        # the others a subject would say &amp; (hence S701).
        autoescape=form == "html",  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["layout"] = f"layout.{form}.jinja"
    made.filters["money"] = lambda amount: money(amount, known)
    made.filters["moment"] = lambda seconds: moment(seconds, known)
    made.filters["paragraphs"] = _paragraphs
    return made


def _paragraphs(body: Markup) -> Markup:
    """Return a letter's escaped text as HTML: blank lines part paragraphs, `- ` begins an item."""
    assert isinstance(body, Markup), "only an environment that escapes makes HTML"
    parts = []
    for block in re.split(r"\n\s*\n", str(body).strip()):
        lines = [line.strip() for line in block.splitlines()]
        if all(line.startswith("- ") for line in lines):
            items = "".join(f"<li>{line[2:]}</li>" for line in lines)
            parts.append(f"<ul>{items}</ul>")
        else:
            parts.append(f"<p>{'<br>'.join(lines)}</p>")
    # Put together from escaped text and our own tags alone (hence S704).
    return Markup("\n".join(parts))  # noqa: S704
