"""Delivering events to webhook endpoints: signed, retried, and wrong when a rule says so.

It sends what the world tells it and may not make events.
"""
