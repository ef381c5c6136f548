"""Facts to tell and the channels to tell them through, for stories of notifications.

It may not stand in for a channel or a receiver.
"""

from handlers.notifications.channel import Channel
from handlers.notifications.configured import Endpoint, Mailing, MailServer
from handlers.notifications.dispatch import Dispatcher
from handlers.notifications.mail import MailChannel
from handlers.notifications.webhook import WebhookChannel
from handlers.services import Services
from refunds.ids import AccountId, RequestId
from refunds.notifications import Audience
from store.tables.outbox import DispatchState
from store.told import DispatchSummary, list_dispatches
from tests.support.receivers import SECRET, HttpReceiver, MailReceiver
from tests.support.stage import Stage

FINANCE = "finance@shop.example"
SUPPORT = "support@shop.example"


def webhook(receiver: HttpReceiver, name: str = "shop", *secrets: str) -> WebhookChannel:
    endpoint = Endpoint(name=name, url=receiver.url, secrets=secrets or (SECRET,))
    return WebhookChannel(endpoint)


def mail(stage: Stage, post: MailReceiver, *, accounts: bool = False) -> MailChannel:
    server = MailServer(host="127.0.0.1", port=post.port, tls_from_start=False, in_the_clear=True)
    mailing = Mailing(
        server=server,
        sender="refunds@shop.example",
        to={Audience.FINANCE: (FINANCE,), Audience.OPERATIONS: (SUPPORT,)},
        to_accounts=accounts,
        locale="de_DE",
    )

    def find_address(account: AccountId) -> str | None:
        return stage.services.gateway.read_account(account).email

    return MailChannel(mailing, find_address)


def held(stage: Stage) -> tuple[str, RequestId]:
    stage.has("platform", 10_000_000)
    account = stage.account()
    charge = stage.paid(account, 123_450)
    stage.has(account, 1000)
    return account, stage.wish(charge)


def tell(stage: Stage, *channels: Channel, services: Services | None = None) -> None:
    """Send what is due now, as a worker would, in bounded rounds."""
    dispatcher = Dispatcher(services or stage.services, channels)
    for _ in range(200):
        if not dispatcher.run_due():
            return
    raise AssertionError("there is always something to tell")


def dispatches(stage: Stage, state: DispatchState | None = None) -> list[DispatchSummary]:
    with stage.services.database.reading() as unit:
        return list_dispatches(unit, state=state, limit=100)
