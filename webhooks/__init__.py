"""Stripe's door: verify a delivery's signature, record the event in the inbox, answer 2xx.

It may not interpret an event, call Stripe or decide anything about a refund; it reaches only
``store`` and ``refunds``.
"""
