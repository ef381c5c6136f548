"""The demo: a platform, its Stripe and Sluice on one machine, and a refund that has to wait.

It may not take a short cut: what it shows goes through gunicorn, the worker and HTTP.
"""
