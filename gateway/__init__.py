"""The only caller of Stripe: a port the handlers know, and the client that fulfils it over HTTP.

It may not touch the database or decide about refunds, and no object of the ``stripe`` package
leaves it: answers become the project's own values, errors the project's own exceptions.
"""
