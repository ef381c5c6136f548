"""`sluice status --shadow`: the report on shadow mode, for a person or a program.

It may not count anything; `refunds.shadow` does.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from refunds.shadow import Count, Course, ShadowReport
from runtime.display import facts, moment, money, print_json, span, stdout, table

_EMPTY: Final = (
    "No request was made in shadow mode yet. Set SLUICE_MODE=shadow for every process, send Sluice "
    "the wishes that your platform goes on refunding itself, and look again in a few days."
)
_WORDS: Final[Mapping[Course, str]] = {
    Course.RELEASED: "released at once",
    Course.RELEASED_LATER: "released after being held",
    Course.STILL_HELD: "still held",
    Course.REVIEW: "before a person",
    Course.REJECTED: "rejected",
    Course.ENDED: "canceled or closed by a person",
    Course.UNDECIDED: "not decided yet",
}


def show_shadow(report: ShadowReport, *, as_json: bool) -> None:
    """Print the report."""
    if as_json:
        print_json(_object(report))
    elif not report.requests:
        stdout().print(Text(_EMPTY))
    else:
        _print(report)


def _object(report: ShadowReport) -> dict[str, object]:
    held_for = report.held_for
    return {
        "object": "shadow_report",
        "requests": report.requests,
        "since": None if report.since is None else int(report.since.timestamp()),
        "held": _counts(report.held),
        "held_for": None
        if held_for is None
        else {
            "requests": held_for.requests,
            "median_seconds": int(held_for.median.total_seconds()),
            "longest_seconds": int(held_for.longest.total_seconds()),
        },
        "covered": _counts(report.covered),
        **{str(course): _counts(counts) for course, counts in report.by_course.items()},
    }


def _counts(counts: Sequence[Count]) -> list[dict[str, object]]:
    return [
        {"currency": count.currency, "requests": count.requests, "amount": count.amount_minor}
        for count in counts
    ]


def _print(report: ShadowReport) -> None:
    console = stdout()
    held_for = report.held_for
    console.print(
        facts(
            "Shadow mode: what would have happened",
            [
                ("requests", report.requests),
                ("since", moment(report.since)),
                ("held", _sentence(report.held) or "none"),
                (
                    "held for",
                    held_for
                    and f"{span(held_for.median)} in the middle, {span(held_for.longest)} at the "
                    f"longest, where it ended with a release ({held_for.requests})",
                ),
                ("covered", _sentence(report.covered) or "nothing at the platform's expense"),
            ],
        )
    )
    rows = [
        (_WORDS[course], count.requests, money(count.amount_minor, count.currency))
        for course, counts in report.by_course.items()
        for count in counts
    ]
    if rows:
        console.print()
        console.print(table("What became of each", ("would be", "requests", "amount"), rows))
    console.print()
    console.print(Text("Nothing of this was sent to Stripe."))


def _sentence(counts: Sequence[Count]) -> str:
    return ", ".join(
        f"{count.requests} ({money(count.amount_minor, count.currency)})" for count in counts
    )
