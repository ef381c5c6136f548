"""Stripe's REST surface over the world: from a decoded request to a JSON answer.

It knows no sockets; both front doors call it.
"""
