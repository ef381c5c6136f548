"""Every route of the API, in the order in which they are described.

It may not do the work of one.
"""

from typing import Final

from api.acting import ACTING
from api.asking import ASKING
from api.batch import BATCH
from api.describing import with_description
from api.exporting import EXPORTING
from api.reading import READING
from api.route import Route

ROUTES: Final[tuple[Route, ...]] = with_description(
    (*ASKING, *BATCH, *READING, *EXPORTING, *ACTING)
)
