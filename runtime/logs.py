"""Logs as one JSON object per line on stderr, with everything that looks like a secret blacked out.

It may not decide what is logged; blacking out is the second fence, never logging secrets the first.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog
from structlog.typing import Processor

BLACKED_OUT: Final = "[redacted]"

# Stripe's keys and signing secrets, signatures, bearer tokens, and passwords inside URLs.
_SECRETS: Final = re.compile(
    r"\b(?:sk|rk|pk|ek)_(?:live|test)_[A-Za-z0-9_]+"
    r"|\bwhsec_[A-Za-z0-9+/=_-]+"
    r"|\bv[01]=[0-9a-fA-F]{16,}"
    r"|(?<=Bearer )\S+"
    r"|(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"
)
_MAX_DEPTH: Final = 6


def redact(_logger: object, _method: str, entry: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Black out whatever is shaped like a key, a secret or a password, anywhere in the entry."""
    return {key: _redacted(value, _MAX_DEPTH) for key, value in entry.items()}


def _redacted(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _SECRETS.sub(BLACKED_OUT, value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes) or depth == 0:
        # Bytes are bodies, and bodies don't belong into a log.
        return BLACKED_OUT
    if isinstance(value, Mapping):
        return {str(key): _redacted(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(inner, depth - 1) for inner in value]
    return _SECRETS.sub(BLACKED_OUT, str(value))


_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
)


def configure_logs(level: str = "INFO") -> None:
    """Send this process's logs, the libraries' included, to stderr as JSON."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Cached, a module's logger would keep the form it had when it first spoke.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # They tell of each of their own steps; what a migration or a tick did is logged by us.
    for library in ("alembic", "apscheduler"):
        logging.getLogger(library).setLevel(logging.WARNING)


class DropStalledClients(logging.Filter):
    """Drops gunicorn's tracebacks for clients that stop sending: nothing of ours went wrong, and
    whoever reaches the port can make as many as they like.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


def json_formatter() -> logging.Formatter:
    """Return the formatter that turns a log record, structlog's or not, into one line of JSON."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redact,
            structlog.processors.JSONRenderer(),
        ],
    )
