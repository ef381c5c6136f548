"""The commands that need a local Stripe instead of the real one: sandbox and demo.

Nothing that runs for real may need them.
"""

import click


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=12111, show_default=True, help="0: a free one."
)
def sandbox(*, port: int) -> None:
    """Serve a local Stripe with Connect balances, until Ctrl-C.

    It answers Stripe's REST API on 127.0.0.1, moves money between a platform and its connected
    accounts, and sends signed webhooks. Any sk_test_... key works. Its own control verbs (open an
    account, let a buyer pay, let money arrive) are in sandbox/README.md.

    \b
      sluice sandbox
      export STRIPE_API_BASE=http://127.0.0.1:12111 STRIPE_API_KEY=sk_test_sandbox0123
      curl -X POST http://127.0.0.1:12111/_sandbox/accounts -d '{"available": 1000}'
    """
    from sandbox.server import run

    run(port=port)


@click.command()
@click.option("--once", is_flag=True, help="End when the story is told, instead of serving on.")
def demo(*, once: bool) -> None:
    """Watch a refund being held, and released the moment the balance covers it.

    Needs no key and no network: it starts a sandbox, a throw-away database, the web and a worker as
    processes of their own, and ends them all again.
    """
    from runtime.demo.play import play

    play(once=once)
