"""Reactions: what Sluice does about an event, a refund request, a due account or a person's action.

It may not open a socket or write SQL itself: Stripe is asked through ``gateway``, rows go through
``store``, and every decision about money is made by a pure function in ``refunds``.
"""
