"""What each path of the API does, one module per family of objects.

An endpoint reads parameters and calls one verb of the world; it decides nothing itself.
"""
