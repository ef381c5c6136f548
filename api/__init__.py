"""The platform's door: refund requests in, decisions out, as JSON over HTTP.

It may not hold a rule about refunds, write SQL or call Stripe: handlers do, for every door alike.
"""
