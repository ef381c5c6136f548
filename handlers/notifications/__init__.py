"""Tells people and the platform's own systems what happened: one module per channel.

It may not decide what is told; `refunds.notifications` says which facts are, and the outbox holds
them.
"""
