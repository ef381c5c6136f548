"""Signs of life of the processes that run Sluice.

It may not hold anything about events, requests or money.
"""

from datetime import datetime

from sqlmodel import Field

from store.tables.base import Row, text_column, utc_column


class WorkerHeartbeat(Row, table=True):
    """The last sign of life of one worker process."""

    __tablename__ = "worker_heartbeat"

    worker: str = Field(sa_column=text_column(primary_key=True))
    """A name no other process has, such as host, process id and a random part."""
    started_at: datetime = Field(sa_column=utc_column())
    beat_at: datetime = Field(sa_column=utc_column())
