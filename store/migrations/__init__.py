"""The history of the schema: Alembic's environment and one file per revision.

It may not import tables: a revision repeats what it needs, so that it means the same for ever.
"""
