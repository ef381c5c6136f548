"""A local Stripe with Connect balances: one world of accounts and money behind Stripe's REST API.

It imports nothing of the project, so that it cannot share the project's mistakes, and it must
never be reachable from anywhere but this machine.
"""
