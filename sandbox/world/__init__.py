"""The world behind the doors: accounts, money, objects, time and events.

It knows nothing of HTTP, forms or webhooks' transport.
"""
