"""The composition root: settings, wiring, the web application, worker, schedule and CLI.

It may not hold a rule about refunds: it reads the environment, builds the parts and starts them.
Nothing imports it but the tests.
"""
