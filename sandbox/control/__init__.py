"""The control desk under `/_sandbox/`: what a story needs and Stripe has no call for.

It drives the world by its verbs and may not change objects itself.
"""
