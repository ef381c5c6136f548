"""The API's meter that all web processes of this host share.

It may not be made twice: gunicorn's configuration imports this before it forks, so that each
process finds the same memory.
"""

from typing import Final

from api.meter import Meter

METER: Final = Meter()
