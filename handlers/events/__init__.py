"""What each kind of Stripe event makes Sluice do: one module per object, each declaring its types.

Nothing here may trust a payload beyond the ids in it; the object is read anew from Stripe.
"""
